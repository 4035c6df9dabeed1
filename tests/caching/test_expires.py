"""Laws of Expires, Date and Age (RFC 9111, 4.2.1, 4.2.3, 5.1 and 5.3)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.caching.judging import HIT, MISS, Stage

# A number is a date that many seconds from now.
EXPIRES: list[tuple[dict[str, Any], float, str]] = [
    ({"Expires": 3600, "Date": 0}, 3590, HIT),
    ({"Expires": 3600, "Date": 0}, 3600, MISS),
    ({"Expires": 3600}, 3590, HIT),
    ({"Expires": -3600, "Date": 0}, 0, MISS),
    ({"Expires": 0, "Date": 0}, 0, MISS),
    ({"Expires": 300, "Date": 400}, 0, MISS),  # both fast, and over
    ({"Expires": 400, "Date": 300}, 95, HIT),  # both fast: a hundred seconds of life
    ({"Expires": 400, "Date": 300}, 100, MISS),
    ({"Expires": -100, "Date": -400}, 0, MISS),  # both slow: 300 of life, but 400 old
    ({"Expires": "0", "Date": 0}, 0, MISS),
    ({"Expires": "-1", "Date": 0}, 0, MISS),
    ({"Expires": "soon", "Date": 0}, 0, MISS),
    ({"Expires": "", "Date": 0}, 0, MISS),
    ({"Expires": 100, "Date": "foo"}, 90, HIT),
    ({"Expires": 3600, "Cache-Control": "max-age=1"}, 1, MISS),
    ({"Expires": 3600, "Cache-Control": "max-age=0"}, 0, MISS),
    ({"Expires": -3600, "Cache-Control": "max-age=60"}, 0, HIT),
    ({"Expires": "0", "Cache-Control": "max-age=60"}, 0, HIT),
    ({"Expires": 3600, "Cache-Control": "s-maxage=1"}, 1, HIT),
    ({"Expires": 3600, "Cache-Control": "no-store"}, 0, MISS),
    ({"Expires": 3600, "Cache-Control": "no-cache"}, 0, MISS),
    ({"Expires": 20, "Date": -10, "Age": "35"}, 0, MISS),
    ({"Expires": 20, "Date": 10, "Age": "15"}, 0, MISS),
    ({"Expires": 120, "Date": 10, "Age": "15"}, 90, HIT),
    ({"Expires": "Thu, 18 Aug 2050 02:01:18 GMT", "Date": 0}, 0, HIT),
    ({"Expires": "Thursday, 18-Aug-50 02:01:18 GMT", "Date": 0}, 0, HIT),
    ({"Expires": "Thu Aug 18 02:01:18 2050", "Date": 0}, 0, HIT),
    ({"Expires": "THU, 18 AUG 2050 02:01:18 gMT", "Date": 0}, 0, HIT),
    ({"Expires": "Thu Aug  8 02:01:18 2050", "Date": 0}, 0, HIT),
    ({"Expires": "Tue, 19 Jan 2038 14:14:08 GMT", "Date": 0}, 0, HIT),  # more than 32 bits
    ({"Expires": "Sun, 21 Nov 2286 04:46:39 GMT", "Date": 0}, 0, HIT),
    ({"Expires": "Thu, 18 Aug 2050 02:01:18 UTC", "Date": 0}, 0, MISS),  # what is no date is over
    ({"Expires": "Thu, 18 Aug 2050 02:01:18 AEST", "Date": 0}, 0, MISS),
    ({"Expires": "Thu, 18 Aug 50 02:01:18 GMT", "Date": 0}, 0, MISS),
    ({"Expires": "Thu 18 Aug 2050 02:01:18 GMT", "Date": 0}, 0, MISS),
    ({"Expires": "Thu, 18  Aug  2050 02:01:18 GMT", "Date": 0}, 0, MISS),
    ({"Expires": "Thu, 18-Aug-2050 02:01:18 GMT", "Date": 0}, 0, MISS),
    ({"Expires": "Thu, 18 Aug 2050 02.01.18 GMT", "Date": 0}, 0, MISS),
    ({"Expires": "Thu, 18 Aug 2050 2:01:18 GMT", "Date": 0}, 0, MISS),
    ({"Expires": "Sunday, 06-Nov-94 08:49:37 GMT", "Date": 0}, 0, MISS),
]


@pytest.mark.parametrize(("headers", "after", "expected"), EXPIRES)
def test_an_answer_is_used_until_it_expires(
    headers: dict[str, Any], after: float, expected: str, stage: Stage
) -> None:
    assert stage.verdict(headers, after=after) == expected


@pytest.mark.parametrize(("first", "second", "expected"), [(60, -60, HIT), (-60, 60, MISS)])
def test_of_two_lines_the_first_counts(
    first: float, second: float, expected: str, stage: Stage
) -> None:
    headers = [("Expires", first), ("Expires", second), ("Date", 0)]
    assert stage.verdict(headers) == expected


# The Age of an answer that may be 3600 seconds old.
AGES: list[tuple[str, str]] = [
    ("0", HIT),
    ("3000", HIT),
    ("7200", MISS),
    ("7200, 0", MISS),
    ("0, 7200", HIT),
    ("0, 0", HIT),
    ("7200, 7200", MISS),
    ("-7200", HIT),  # what is no age is none, 5.1
    ("abc", HIT),
    ("7200.0", HIT),
    ("7200;a=b", HIT),
    ("", HIT),
    ("99999999999999999999", MISS),
]


@pytest.mark.parametrize(("age", "expected"), AGES)
def test_the_age_that_an_answer_has_already_counts(age: str, expected: str, stage: Stage) -> None:
    assert stage.verdict({"Cache-Control": "max-age=3600", "Age": age}) == expected


@pytest.mark.parametrize(("date", "expected"), [(0, HIT), (-3000, HIT), (-7200, MISS), (7200, HIT)])
def test_so_does_the_date_it_was_made(date: float, expected: str, stage: Stage) -> None:
    assert stage.verdict({"Cache-Control": "max-age=3600", "Date": date}) == expected


@pytest.mark.parametrize(
    ("headers", "after", "age"),
    [
        ({"Cache-Control": "max-age=600"}, 0, 0),
        ({"Cache-Control": "max-age=600"}, 3.9, 3),
        ({"Cache-Control": "max-age=600", "Age": "30"}, 3, 33),
        ({"Expires": 600, "Date": 0, "Age": "30"}, 3, 33),
        ({"Cache-Control": "max-age=600", "Age": "30, 5"}, 3, 33),
        ({"Cache-Control": "max-age=600", "Age": "x"}, 3, 3),
    ],
)
def test_a_hit_says_how_old_it_is(
    headers: dict[str, Any], after: float, age: int, stage: Stage
) -> None:
    stage.open(headers)
    first = stage.ask()
    assert first.headers.get("Age") == headers.get("Age")
    assert (first.age, first.stale) == (0.0, False)  # type: ignore[attr-defined]
    stage.clock.tick(after)
    hit: Any = stage.ask()
    assert hit.headers["Age"] == str(age)
    assert (int(hit.age), hit.stale, hit.from_cache) == (age, False, True)
    assert hit.headers.get("Date") == first.headers.get("Date")
    assert hit.headers.get("Expires") == first.headers.get("Expires")
