"""Laws of the parsers of what servers announce: every form in use, strictly, and never an error."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from browseros_api.policies.announced import Announced, announcements

NOW = 1_700_000_000.0
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"  # the same instant


def told(**headers: str) -> list[tuple[Any, ...]]:
    """What these headers announce, without the name where there is none; ``_`` stands for ``-``."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    found = announcements(CaseInsensitiveDict(given), now=NOW)
    return [tuple(one) if one.name else tuple(one)[1:] for one in found]


@pytest.mark.parametrize(
    ("headers", "windows"),
    [
        # draft-ietf-httpapi-ratelimit-headers-08 and later
        ({"RateLimit": '"default";r=50;t=30'}, [("default", None, 50, 30.0)]),
        (
            {"RateLimit": '"a";r=5;t=1 , "b"; r=900 ;t=40000', "RateLimit_Policy": '"a";q=10;w=1'},
            [("a", 10, 5, 1.0), ("b", None, 900, 40_000.0)],
        ),
        (
            {"RateLimit": '"x";r=0;t=9;pk=:Y29uc3Q=:', "RateLimit_Policy": '"x";q=7;qu="requests"'},
            [("x", 7, 0, 9.0)],
        ),
        ({"RateLimit": 'token;r=1;t=2;flag;yes=?1;n=-1.5;s="a;b,\\"c"'}, [("token", None, 1, 2.0)]),
        # draft 07
        ({"RateLimit": "limit=100, remaining=50, reset=5"}, [(100, 50, 5.0)]),
        ({"RateLimit": "remaining=50,reset=5"}, [(None, 50, 5.0)]),
        # up to draft 06
        (
            {
                "RateLimit_Limit": "100, 100;w=60",
                "RateLimit_Remaining": "3",
                "RateLimit_Reset": "12",
            },
            [(100, 3, 12.0)],
        ),
        ({"RateLimit_Remaining": "3", "RateLimit_Reset": "12"}, [(None, 3, 12.0)]),
        # GitHub: the epoch in seconds; its clock, as told by Date, is what counts
        (
            {
                "X_RateLimit_Limit": "5000",
                "X_RateLimit_Remaining": "4999",
                "X_RateLimit_Reset": "1700000060",
            },
            [(5000, 4999, 60.0)],
        ),
        (
            {
                "Date": "Tue, 14 Nov 2023 22:14:00 GMT",
                "X_RateLimit_Remaining": "4999",
                "X_RateLimit_Reset": "1700000060",
            },
            [(None, 4999, 20.0)],
        ),
        # Twitter, with a hyphen more
        (
            {
                "X_Rate_Limit_Limit": "15",
                "X_Rate_Limit_Remaining": "0",
                "X_Rate_Limit_Reset": "1700000900",
            },
            [(15, 0, 900.0)],
        ),
        # milliseconds; fractions; Discord's time that is left, which is exacter
        ({"X_RateLimit_Remaining": "1", "X_RateLimit_Reset": "1700000001500"}, [(None, 1, 1.5)]),
        ({"X_RateLimit_Remaining": "1", "X_RateLimit_Reset": "1700000001.5"}, [(None, 1, 1.5)]),
        (
            {
                "X_RateLimit_Remaining": "1",
                "X_RateLimit_Reset": "1700000009",
                "X_RateLimit_Reset_After": "0.25",
            },
            [(None, 1, 0.25)],
        ),
        # language models
        (
            {
                "X_RateLimit_Limit_Requests": "60",
                "X_RateLimit_Remaining_Requests": "59",
                "X_RateLimit_Reset_Requests": "6m0s",
                "X_RateLimit_Remaining_Tokens": "0",
                "X_RateLimit_Reset_Tokens": "1h",
            },
            [(60, 59, 360.0)],
        ),
        (
            {
                "Anthropic_RateLimit_Requests_Limit": "50",
                "Anthropic_RateLimit_Requests_Remaining": "49",
                "Anthropic_RateLimit_Requests_Reset": "2023-11-14T22:13:50Z",
            },
            [(50, 49, 30.0)],
        ),
        # what is over
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "1699999999"}, [(None, 0, 0.0)]),
    ],
)
def test_every_form_in_use_is_read(headers: dict[str, str], windows: list[tuple[Any, ...]]) -> None:
    assert told(**headers) == windows


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1.0), ("120ms", 0.12), ("1m30.5s", 90.5), ("1h2m", 3720.0), ("1d", 86_400.0), ("7", 7)],
)
def test_durations(text: str, seconds: float) -> None:
    (window,) = told(X_RateLimit_Remaining="1", X_RateLimit_Reset=text)
    assert window[-1] == pytest.approx(seconds)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"RateLimit": ""},
        {"RateLimit": '"a";r=5'},  # until when?
        {"RateLimit": '"a";t=5'},
        {"RateLimit": '"a";r=-1;t=5'},
        {"RateLimit": '"a";r=1.5;t=5'},
        {"RateLimit": '"a";r="5";t=5'},
        {"RateLimit": '"a";r=5;t=5,'},  # not well-formed to its end
        {"RateLimit": '"a";r=5;t=5 "b";r=1;t=1'},
        {"RateLimit": '"a;r=5;t=5'},
        {"RateLimit": '"a";r=5;t=' + "9" * 16},
        {"RateLimit": '"a";r=5;t=99999999999'},  # a reset in 3,000 years
        {"RateLimit": '"' + "a" * 1000 + '";r=5;t=5'},
        {"RateLimit": "limit=100, remaining=50"},
        {"RateLimit": "limit=100, remaining=x, reset=5"},
        {"RateLimit_Limit": "100"},
        {"RateLimit_Remaining": "3"},
        {"X_RateLimit_Remaining": "3", "X_RateLimit_Reset": "soon"},
        {"X_RateLimit_Remaining": "3", "X_RateLimit_Reset": "-1"},
        {"X_RateLimit_Remaining": "3", "X_RateLimit_Reset": "2023-11-14T22:13:50"},  # where?
        {"X_RateLimit_Remaining": "-3", "X_RateLimit_Reset": "1"},
        {"X_RateLimit_Remaining": "3 of 5", "X_RateLimit_Reset": "1"},
        {"X_RateLimit_Remaining": "٣", "X_RateLimit_Reset": "1"},
        {"X_RateLimit_Remaining": "3", "X_RateLimit_Reset": ""},
        {"X_RateLimit_Remaining": "3", "X_RateLimit_Reset": "ms"},
        {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "1699999990"},  # long over
        {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "2023-11-14T20:00:00Z"},
    ],
)
def test_what_cannot_be_read_or_meant_says_nothing(headers: dict[str, str]) -> None:
    assert told(**headers) == []


def test_a_date_that_is_none_leaves_our_own_clock() -> None:
    headers = {"Date": "now", "X_RateLimit_Remaining": "1", "X_RateLimit_Reset": "1700000060"}
    assert told(**headers) == [(None, 1, 60.0)]
    assert told(**{**headers, "Date": DATE}) == [(None, 1, 60.0)]


def test_a_limit_that_cannot_be_read_leaves_the_rest() -> None:
    assert told(RateLimit_Limit="many", RateLimit_Remaining="3", RateLimit_Reset="1") == [
        (None, 3, 1.0)
    ]


def test_only_a_few_windows_are_looked_at() -> None:
    many = ", ".join(f'"{n}";r=1;t=1' for n in range(40))
    assert len(told(RateLimit=many)) == 4


def test_a_value_that_is_no_text_says_nothing() -> None:
    headers: Any = {"RateLimit": b'"a";r=5;t=5', "X-RateLimit-Reset": None}
    assert announcements(headers, now=NOW) == []


NAMES = st.sampled_from([
    *("RateLimit", "RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining"),
    *("RateLimit-Reset", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
    *("X-RateLimit-Reset-After", "X-Rate-Limit-Remaining", "X-Rate-Limit-Reset", "Date"),
])  # fmt: skip
PIECES = st.sampled_from([
    *('"a"', "a", ";", ",", "=", "r", "t", "q", "w", "remaining", "reset", "limit", " ", "\t"),
    *("0", "1", "60", "99999999999", "1700000060", "1700000060000", "-", ".", ":", "?1", "\\", '"'),
    *("s", "m", "ms", "h", "2023-11-14T22:13:50Z", DATE, "9999-12-31T23:59:59+23:59", "NaN", "inf"),
])  # fmt: skip
VALUES = st.one_of(st.lists(PIECES, max_size=12).map("".join), st.text(max_size=40))


@given(headers=st.dictionaries(NAMES, VALUES, max_size=6), now=st.floats(0, 1e10))
def test_whatever_comes_is_no_error_and_what_is_told_makes_sense(
    headers: dict[str, str], now: float
) -> None:
    found = announcements(CaseInsensitiveDict(headers), now=now)
    assert len(found) <= 4
    for one in found:
        assert one.remaining >= 0
        assert 0 <= one.reset < math.inf
        assert one.limit is None or one.limit >= 0


@given(
    name=st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\')),
    limit=st.integers(0, 10**9),
    remaining=st.integers(0, 10**9),
    reset=st.integers(0, 10**7),
)
def test_what_is_written_by_the_draft_is_read_again(
    name: str, limit: int, remaining: int, reset: int
) -> None:
    headers = {
        "RateLimit-Policy": f'"{name}";q={limit};w=60',
        "RateLimit": f'"{name}";r={remaining};t={reset}',
    }
    found = announcements(headers, now=NOW)
    if len(headers["RateLimit-Policy"]) <= 1000:
        assert found == [Announced(name, limit, remaining, float(reset))]


@pytest.mark.parametrize("bad", ['"a";' * 250, '"' * 1000, "a=1," * 250, '\\"' * 500, ";" * 1000])
def test_a_value_that_was_made_to_be_slow_is_not(bad: str) -> None:
    """Patterns that go back and forth would take for ever: the test's own time would run out."""
    for _ in range(200):
        announcements({"RateLimit": bad, "RateLimit-Policy": bad}, now=NOW)
