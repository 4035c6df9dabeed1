"""Laws of how long to wait: the formula, and what servers write into Retry-After."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from browseros_api.policies.backoff import delay, retry_after

seconds = st.just(0.0) | st.floats(min_value=1e-300, max_value=1e9)
chances = st.floats(min_value=0, max_value=1, exclude_max=True)
attempts = st.one_of(st.integers(0, 70), st.integers(0, 10**40))


def constant(chance: float) -> Callable[[], float]:
    return lambda: chance


@pytest.mark.parametrize("attempt", range(8))
def test_the_delay_is_the_base_doubled_each_time_up_to_the_cap(attempt: int) -> None:
    """R8"""
    assert delay(attempt, base=1.0, cap=32.0, random=constant(0.5)) == min(2**attempt, 32)


@given(attempt=st.integers(0, 1000), base=seconds, cap=seconds, chance=chances)
def test_the_formula_is_exact(attempt: int, base: float, cap: float, chance: float) -> None:
    """R8, R10"""
    exact = min(base * 2.0**attempt, cap)
    jitter = exact * 0.2 * (chance - 0.5)
    assert delay(attempt, base=base, cap=cap, random=constant(chance)) == exact + jitter


@given(attempt=attempts, base=seconds, cap=seconds, chance=chances)
def test_no_attempt_is_too_late_for_the_cap(
    attempt: int, base: float, cap: float, chance: float
) -> None:
    """R9"""
    waited = delay(attempt, base=base, cap=cap, random=constant(chance))
    assert 0 <= waited <= cap * 1.1 * (1 + 1e-12)
    full = delay(attempt, base=base, cap=cap, random=constant(chance), jitter="full")
    assert 0 <= full <= cap


def test_a_huge_attempt_waits_as_long_as_the_cap_says() -> None:
    """R9"""
    assert delay(10**30, base=1.0, cap=32.0, random=constant(0.5)) == 32.0
    assert delay(10**30, base=0.0, cap=32.0, random=constant(0.5)) == 0.0
    assert delay(2000, base=5e-324, cap=32.0, random=constant(0.5)) == 32.0


@given(attempt=attempts, base=seconds, cap=seconds, chance=chances)
def test_jitter_stays_in_its_band_around_the_exact_delay(
    attempt: int, base: float, cap: float, chance: float
) -> None:
    """R10"""
    exact = delay(attempt, base=base, cap=cap, random=constant(0.5))
    jittered = delay(attempt, base=base, cap=cap, random=constant(chance))
    mirrored = delay(attempt, base=base, cap=cap, random=constant(1 - chance))
    assert exact * (0.9 - 1e-12) <= jittered <= exact * (1.1 + 1e-12)
    assert (jittered + mirrored) / 2 == pytest.approx(exact)


def test_the_mean_is_the_exact_delay_and_half_of_it_with_full_jitter() -> None:
    """R10"""
    steps = [constant((step + 0.5) / 1000) for step in range(1000)]
    proportional = [delay(2, base=1.0, cap=32.0, random=step) for step in steps]
    full = [delay(2, base=1.0, cap=32.0, random=step, jitter="full") for step in steps]
    assert sum(proportional) / 1000 == pytest.approx(4.0)
    assert sum(full) / 1000 == pytest.approx(2.0)
    assert (min(proportional), max(proportional)) == pytest.approx((3.6, 4.4), abs=0.01)
    assert (min(full), max(full)) == pytest.approx((0.0, 4.0), abs=0.01)


def test_two_clients_differ() -> None:
    """R10"""
    one, other = random.Random(1).random, random.Random(2).random
    assert delay(3, base=1.0, cap=32.0, random=one) != delay(3, base=1.0, cap=32.0, random=other)


# -- Retry-After ---------------------------------------------------------------------------------

NOW = datetime(2024, 11, 6, 8, 49, 37, tzinfo=timezone.utc).timestamp()


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("  7\t", 7.0),
        ("007", 7.0),
        ("1.5", 1.5),
        ("Wed, 06 Nov 2024 08:50:37 GMT", 60.0),
        ("Wednesday, 06-Nov-24 08:50:37 GMT", 60.0),
        ("Wed Nov  6 08:50:37 2024", 60.0),
        ("Wed, 06 Nov 2024 09:50:37 +0100", 60.0),
        ("Wed, 06 Nov 2024 08:49:37 GMT", 0.0),
        ("Wed, 06 Nov 2024 08:49:36 GMT", 0.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_understood_in_seconds_and_in_all_forms_of_date(
    value: str, wait: float
) -> None:
    """R12, R13"""
    assert retry_after(value, now=NOW) == wait


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "soon",
        "-1",
        "-0",
        "+5",
        "5s",
        "5, 5",
        "1e9",
        "0x10",
        "1_000",
        ".5",
        "5.",
        "٣",
        "nan",
        "inf",
        "Infinity",
        "2024-11-06T08:50:37Z",
        "Wed, 99 Nov 2024 08:50:37 GMT",
        "Wed, 06 Nov 2024 25:50:37 GMT",
        "Wed, 06 Nov 99999999999 08:50:37 GMT",
        "Wed, 06 Nov 2024 08:50:37 +9999999999999",
    ],
)
def test_junk_in_retry_after_says_nothing(value: str | None) -> None:
    """R13"""
    assert retry_after(value, now=NOW) is None


def test_more_seconds_than_a_float_holds_are_still_finite() -> None:
    """R13"""
    wait = retry_after("9" * 5000, now=NOW)
    assert wait is not None
    assert 1e300 < wait < math.inf


@pytest.mark.parametrize("now", [math.inf, -math.inf, math.nan, 1e308, -1e308])
def test_a_clock_that_is_out_of_its_mind_does_no_harm(now: float) -> None:
    """R13"""
    wait = retry_after("Wed, 06 Nov 2024 08:50:37 GMT", now=now)
    assert wait is not None
    assert 0 <= wait < math.inf


WORDS = ["Wed,", "06", "Nov", "2024", "08:50:37", "GMT", "+0100", "-", ":", "99", "0", "06-Nov-24"]
values = st.one_of(
    st.none(),
    st.text(),
    st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=4))).map(" ".join),
    st.integers().map(str),
    st.floats().map(str),
    st.datetimes(timezones=st.none()).map(format_datetime),
)


@given(value=values, now=st.floats())
def test_whatever_a_server_writes_there_is_no_harm(value: str | None, now: float) -> None:
    """R13"""
    wait = retry_after(value, now=now)
    assert wait is None or (math.isfinite(wait) and wait >= 0)


@given(
    at=st.datetimes(
        min_value=datetime(1971, 1, 1), max_value=datetime(2068, 1, 1)
    ),  # beyond, two digits of a year are ambiguous
    ahead=st.integers(-(10**6), 10**6),
    form=st.sampled_from(
        ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
    ),
)
def test_every_date_comes_back_as_the_seconds_until_then(
    at: datetime, ahead: int, form: str
) -> None:
    """R12"""
    date = at.replace(microsecond=0, tzinfo=timezone.utc)
    now = (date - timedelta(seconds=ahead)).timestamp()
    assert retry_after(date.strftime(form), now=now) == max(0, ahead)
