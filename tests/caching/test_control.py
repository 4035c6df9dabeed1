"""Laws of Cache-Control on answers, whatever its spelling (RFC 9111, 4.2 and 5.2.2)."""

from __future__ import annotations

import pytest

from browseros_api.testing import Reply
from tests.caching.judging import CONDITIONAL, HIT, MISS, Stage

# What the first answer says; seconds later the same is asked again, and then it is:
CONTROL: list[tuple[str, float, str]] = [
    ("max-age=60", 59, HIT),
    ("max-age=60", 60, MISS),
    ("max-age=0", 0, MISS),
    ("max-age=2147483647", 1e9, HIT),
    ("max-age=2147483648", 1e9, HIT),
    ("max-age=2147483649", 1e9, HIT),
    ("max-age=99999999999", 1e9, HIT),
    ("max-age=99999999999", 3e9, MISS),
    ("max-age=003600", 3599, HIT),
    ("MaX-aGe=3600", 0, HIT),
    ("foobar, max-age=3600", 0, HIT),
    ("foobar=1, max-age=3600, bar", 0, HIT),
    ('max-age="3600"', 0, HIT),
    ("max-age='3600'", 0, MISS),
    ("max-age =3600", 0, MISS),
    ("max-age= 3600", 0, MISS),
    ("max-age=-3600", 0, MISS),
    ("max-age=3600.0", 0, MISS),
    ("max-age=a3600", 0, MISS),
    ("max-age=3600a", 0, MISS),
    ("max-age", 0, MISS),
    ("max-age=", 0, MISS),
    ('extension="max-age=3600", max-age=1', 1, MISS),
    ('max-age=1, extension="max-age=3600"', 1, MISS),
    ('extension="max-age=3600", max-age="1"', 1, MISS),
    ('extension="no-store", max-age=60', 0, HIT),
    ("max-age=1800, max-age=1", 1, HIT),
    ("max-age=1, max-age=1800", 1, MISS),
    ("s-maxage=3600", 0, MISS),
    ("s-maxage=3600, max-age=1", 1, MISS),
    ("s-maxage=1, max-age=3600", 1, HIT),
    ("private, max-age=3600", 0, HIT),
    ('private="x-a", max-age=3600', 0, HIT),
    ("public, max-age=3600", 0, HIT),
    ("no-store", 0, MISS),
    ("No-StOrE", 0, MISS),
    ("max-age=3600, no-store", 0, MISS),
    ("max-age=3600; no-store", 0, MISS),
    ("no-cache", 0, MISS),
    ("max-age=3600, No-CaChE", 0, MISS),
    ("max-age=3600, must-revalidate", 0, HIT),
    ("max-age=3600, proxy-revalidate", 0, HIT),
    ("max-age=3600, immutable", 0, HIT),
    ("max-age=3600, no-transform", 0, HIT),
    ("max-age=3600, no-store, must-understand", 0, HIT),
    ("max-age=3600, must-understand", 0, HIT),
    ("", 0, MISS),
    ("public", 0, MISS),
]


@pytest.mark.parametrize(("control", "after", "expected"), CONTROL)
def test_what_cache_control_says_is_done(
    control: str, after: float, expected: str, stage: Stage
) -> None:
    assert stage.verdict({"Cache-Control": control}, after=after) == expected


@pytest.mark.parametrize(
    ("control", "after", "expected"),
    [
        ("no-cache", 0, CONDITIONAL),
        ("no-cache, max-age=3600", 0, CONDITIONAL),
        ('no-cache="x-a", max-age=3600', 0, HIT),
        ("max-age=60", 60, CONDITIONAL),
        ("max-age=60, must-revalidate", 60, CONDITIONAL),
        ("max-age=60, immutable", 60, CONDITIONAL),
        ("max-age=60, s-maxage=9", 9, HIT),
        ("no-store", 0, MISS),
        ("max-age=0", 86_399, CONDITIONAL),
        ("max-age=0", 86_400, MISS),
    ],
)
def test_what_is_not_fresh_is_asked_about_if_it_can_be(
    control: str, after: float, expected: str, stage: Stage
) -> None:
    assert stage.verdict({"Cache-Control": control, "ETag": '"x"'}, after=after) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["s-maxage=3600", "max-age=1"], MISS),
        (["max-age=3600", "no-store"], MISS),
        (["public", "max-age=3600"], HIT),
        (["", "max-age=3600"], HIT),
    ],
)
def test_lines_of_one_name_are_one_list(lines: list[str], expected: str, stage: Stage) -> None:
    headers = [("Cache-Control", line) for line in lines]
    assert stage.verdict(Reply(headers=headers), after=1) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Cache-Control": "max-age=3600", "Pragma": "no-cache"}, HIT),
        ({"Expires": 3600, "Pragma": "no-cache"}, HIT),
        ({"Last-Modified": -10_000, "Pragma": "no-cache"}, CONDITIONAL),
        ({"Last-Modified": -10_000, "Pragma": "x"}, HIT),
    ],
)
def test_pragma_is_for_those_who_say_nothing_newer(
    headers: dict[str, object], expected: str, stage: Stage
) -> None:
    assert stage.verdict(headers) == expected


@pytest.mark.parametrize("control", ["max-age=3600, no-store, must-understand"])
def test_whoever_knows_not_the_status_keeps_nothing_that_must_be_understood(
    control: str, stage: Stage
) -> None:
    assert stage.verdict(Reply(599, headers={"Cache-Control": control})) == MISS
    assert stage.verdict(Reply(404, headers={"Cache-Control": control})) == HIT


def test_a_caller_may_say_how_long_whatever_the_server_says(stage: Stage) -> None:
    origin = stage.open({"Cache-Control": "no-cache"}, {"Cache-Control": "no-store"})
    assert [stage.ask(cache_ttl=60).text for _ in range(2)] == ["1", "1"]
    stage.clock.tick(60)
    assert [stage.ask(cache_ttl=60).text for _ in range(2)] == ["2", "3"]
    assert len(origin.asked) == 3
