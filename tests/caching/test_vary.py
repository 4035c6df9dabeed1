"""Laws of Vary: an answer is for requests that would have chosen it (RFC 9111, 4.1)."""

from __future__ import annotations

from typing import Any

import pytest

from browseros_api.testing import Reply
from tests.caching.judging import CONDITIONAL, HIT, MISS, Stage

pytestmark = pytest.mark.parametrize("stage", ["memory", "sqlite"], indirect=True)

FRESH = {"Cache-Control": "max-age=5000"}
Asked = dict[str, str]

# Vary of the answer; the first request's headers, and the second's.
VARIES: list[tuple[str, Asked, Asked, str]] = [
    ("Foo", {"Foo": "1"}, {"Foo": "1"}, HIT),
    ("Foo", {"Foo": "1"}, {"Foo": "2"}, MISS),
    ("Foo", {"Foo": "1"}, {}, MISS),
    ("Foo", {}, {"Foo": "1"}, MISS),
    ("Foo", {}, {}, HIT),
    ("Foo", {"Foo": "1"}, {"Foo": ""}, MISS),
    ("Foo", {"Foo": "1", "Other": "2"}, {"Foo": "1", "Other": "3"}, HIT),
    ("FOO", {"foo": "1"}, {"fOO": "1"}, HIT),
    ("FOO", {"foo": "1"}, {"fOO": "2"}, MISS),
    ("Foo, Bar", {"Foo": "1", "Bar": "a"}, {"Bar": "a", "Foo": "1"}, HIT),
    ("Foo, Bar", {"Foo": "1", "Bar": "a"}, {"Foo": "2", "Bar": "a"}, MISS),
    ("Foo, Bar", {"Foo": "1", "Bar": "a"}, {"Foo": "1"}, MISS),
    ("Foo, Bar, Baz", {"Foo": "1", "Baz": "7"}, {"Foo": "1", "Baz": "7"}, HIT),
    ("Foo, Bar, Baz", {"Foo": "1", "Baz": "7"}, {"Foo": "1", "Baz": "7", "Bar": "a"}, MISS),
    ("Foo, Bar, Baz", {"Foo": "1", "Bar": "a"}, {"Foo": "1", "Bar": "abcde"}, MISS),
    (" ,Foo,, ", {"Foo": "1"}, {"Foo": "2"}, MISS),
    ("", {"Foo": "1"}, {"Foo": "2"}, HIT),
    ("*", {"Foo": "1"}, {"Foo": "1"}, MISS),
    ("*, *", {"Foo": "1"}, {"Foo": "1"}, MISS),
    (", *", {"Foo": "1"}, {"Foo": "1"}, MISS),
    ("*, Foo", {"Foo": "1"}, {"Foo": "1"}, MISS),
    ("Foo, *", {"Foo": "1"}, {"Foo": "1"}, MISS),
    # What means the same is the same.
    ("Foo", {"Foo": "1,2"}, {"Foo": "1, 2"}, HIT),
    ("Foo", {"Foo": "1, 2"}, {"Foo": "1 ,  2 "}, HIT),
    ("Foo", {"Foo": "1, 2"}, {"Foo": "2, 1"}, MISS),
    ("Foo", {"Foo": "a"}, {"Foo": "A"}, MISS),
    ("Accept-Language", {"Accept-Language": "en, de"}, {"Accept-Language": "de, en"}, HIT),
    ("Accept-Language", {"Accept-Language": "en, de"}, {"Accept-Language": "eN,De"}, HIT),
    ("Accept-Language", {"Accept-Language": "en, de"}, {"Accept-Language": "en ,   de"}, HIT),
    ("Accept-Language", {"Accept-Language": "en, de"}, {"Accept-Language": "en"}, MISS),
    ("Accept-Language", {"Accept-Language": "en, de"}, {"Accept-Language": "en, de;q=0.5"}, MISS),
    ("Accept-Encoding", {"Accept-Encoding": "gzip, br"}, {"Accept-Encoding": "br, gzip"}, HIT),
    ("Accept-Encoding", {"Accept-Encoding": "gzip, br"}, {"Accept-Encoding": "br"}, MISS),
    ("User-Agent", {"User-Agent": "curl"}, {"User-Agent": "lynx"}, MISS),
    ("Origin", {"Origin": "http://a"}, {"Origin": "http://b"}, MISS),
    ("Accept", {"Accept": "text/html"}, {"Accept": "text/plain"}, MISS),
    # Without being asked for: who is somebody, and what is meant.
    ("", {"Accept": "text/html"}, {"Accept": "text/plain"}, MISS),
    ("", {"User-Agent": "curl"}, {"User-Agent": "lynx"}, HIT),
    ("", {"Accept-Language": "en"}, {"Accept-Language": "de"}, HIT),
    ("", {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "br"}, HIT),
]


@pytest.mark.parametrize(("vary", "first", "second", "expected"), VARIES)
def test_an_answer_is_for_those_who_would_have_chosen_it(
    vary: str, first: Asked, second: Asked, expected: str, stage: Stage
) -> None:
    verdict = stage.verdict({**FRESH, "Vary": vary}, asked=first, then=second)
    assert verdict == expected


@pytest.mark.parametrize(
    ("wanted", "spoken", "expected"),
    [
        ("fr;q=0.5, de;q=1.0", "de", HIT),
        ("de", "de", HIT),
        ("DE", "de", HIT),
        ("de, fr;q=0.9", "DE", HIT),
        ("de;q=0.4, fr;q=0.3", "de", HIT),
        ("fr, de;q=0.9", "de", MISS),
        ("de, fr", "de", MISS),  # either would do: who knows which the server prefers
        ("de-AT, fr;q=0.5", "de", MISS),
        ("de", "de, en", MISS),
        ("de", "", MISS),
        ("de;q=0", "de", MISS),
        ("de;q=much", "de", MISS),
        ("*", "*", MISS),
        ("", "de", MISS),
    ],
)
def test_an_answer_is_for_those_who_want_its_language_most(
    wanted: str, spoken: str, expected: str, stage: Stage
) -> None:
    headers = {**FRESH, "Vary": "Accept-Language", "Content-Language": spoken}
    first, then = {"Accept-Language": "en, de"}, {"Accept-Language": wanted}
    assert stage.verdict(headers, asked=first, then=then) == expected
    headers["Vary"] = "Accept-Language, Foo"
    assert stage.verdict(headers, asked=first, then=then) == MISS


@pytest.mark.parametrize("lines", [["*", "*"], ["", "*"], ["Foo", "*"], ["*", "Foo"]])
def test_a_star_on_any_line_is_a_star(lines: list[str], stage: Stage) -> None:
    headers = [*FRESH.items(), *[("Vary", line) for line in lines]]
    assert stage.verdict(Reply(headers=headers), asked={"Foo": "1"}, then={"Foo": "1"}) == MISS


def test_variants_stand_side_by_side(stage: Stage) -> None:
    origin = stage.open({**FRESH, "Vary": "Foo"})
    said = [stage.ask({"Foo": foo}).text for foo in "1231212"]
    assert said == ["1", "2", "3", "1", "2", "1", "2"]
    assert len(origin.asked) == 3
    assert stage.session.get_stats()["cache_size"] == 1, "under one key"


def test_an_answer_that_varies_otherwise_does_not_hide_those_before(stage: Stage) -> None:
    stage.open({**FRESH, "Vary": "Foo"}, {**FRESH, "Vary": "Bar"})
    assert stage.ask({"Foo": "1", "Bar": "a"}).text == "1"
    assert stage.ask({"Foo": "2", "Bar": "b"}).text == "2"
    assert stage.ask({"Foo": "1", "Bar": "a"}).text == "1"
    assert stage.ask({"Foo": "3", "Bar": "b"}).text == "2"


def test_a_conditional_request_is_of_the_variant_that_was_chosen(stage: Stage) -> None:
    headers = {"Cache-Control": "max-age=1", "Vary": "Foo", "ETag": '"x"'}
    assert stage.verdict(headers, asked={"Foo": "1"}, then={"Foo": "1"}, after=1) == CONDITIONAL
    origin = stage.open(headers)
    stage.ask({"Foo": "1"})
    stage.clock.tick(1)
    stage.ask({"Foo": "1"})
    assert origin.asked[-1].headers["Foo"] == "1"
    stage.ask({"Foo": "2"})
    assert "If-None-Match" not in origin.asked[-1].headers, "of another variant it says nothing"


def test_what_chose_is_kept_as_digests_only(stage: Stage) -> None:
    stage.open({**FRESH, "Vary": "Foo, Authorization"})
    stage.ask({"Foo": "hunter2", "Authorization": "Bearer hunter2"})
    store = stage.session.engine.cache.answers
    (entry,) = [entry for key in store for entry in store.peek(key)]
    assert {name for name, _ in entry.chosen_by} == {"foo", "authorization"}
    assert "hunter2" not in repr(entry.chosen_by)


def test_a_server_that_varies_on_something_random_fills_nothing(stage: Stage) -> None:
    origin = stage.open({**FRESH, "Vary": "Foo"})
    for number in range(100):
        stage.ask({"Foo": str(number)})
    store: Any = stage.session.engine.cache.answers
    assert [len(store.peek(key)) for key in store] == [16]
    asked = len(origin.asked)
    for number in range(84, 100):
        stage.ask({"Foo": str(number)})
    assert len(origin.asked) == asked, "the latest stay"


def test_in_ttl_mode_all_headers_choose(stage: Stage) -> None:
    ttl = Stage(stage.server, stage.clock, cache_mode="ttl")
    for name in ("Foo", "Accept-Language", "Origin"):
        assert ttl.verdict({}, asked={name: "a"}, then={name: "b"}) == MISS
    assert ttl.verdict({"Vary": "User-Agent"}, then={"User-Agent": "b"}) == MISS
    assert ttl.verdict({}, then={"User-Agent": "b", "traceparent": "1"}) == HIT
