"""Laws of what a request may demand of answers that are kept (RFC 9111, 5.2.1 and 5.4)."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from browseros_api import EnhancedAPIClient, Session
from browseros_api.testing import Reply
from tests.caching.judging import HIT, MISS, Stage

# The answer's headers, seconds that pass, and what the second request says.
DEMANDS: list[tuple[dict[str, str], float, dict[str, str], str]] = [
    ({"Cache-Control": "max-age=60"}, 3, {"Cache-Control": "max-age=0"}, MISS),
    ({"Cache-Control": "max-age=60"}, 3, {"Cache-Control": "max-age=1"}, MISS),
    ({"Cache-Control": "max-age=60"}, 3, {"Cache-Control": "max-age=5"}, HIT),
    ({"Cache-Control": "max-age=60"}, 3, {"Cache-Control": "max-age=x"}, MISS),
    ({"Cache-Control": "max-age=60", "Age": "30"}, 0, {"Cache-Control": "max-age=20"}, MISS),
    ({"Cache-Control": "max-age=60", "Age": "30"}, 0, {"Cache-Control": "max-age=40"}, HIT),
    ({"Cache-Control": "max-age=60"}, 0, {"Cache-Control": "min-fresh=60"}, HIT),
    ({"Cache-Control": "max-age=60"}, 1, {"Cache-Control": "min-fresh=60"}, MISS),
    ({"Cache-Control": "max-age=60", "Age": "30"}, 0, {"Cache-Control": "min-fresh=40"}, MISS),
    ({"Cache-Control": "max-age=60"}, 90, {"Cache-Control": "max-stale=30"}, HIT),
    ({"Cache-Control": "max-age=60"}, 91, {"Cache-Control": "max-stale=30"}, MISS),
    ({"Cache-Control": "max-age=60"}, 900, {"Cache-Control": "max-stale"}, HIT),
    ({"Cache-Control": "max-age=60"}, 90, {"Cache-Control": "max-stale=x"}, MISS),
    ({"Cache-Control": "max-age=60"}, 90, {"Cache-Control": "max-stale=99, max-age=80"}, MISS),
    ({"Cache-Control": "max-age=60"}, 90, {"Cache-Control": "max-stale=99, max-age=95"}, HIT),
    ({"Cache-Control": "max-age=60"}, 90, {"Cache-Control": "max-stale=99, min-fresh=1"}, MISS),
    ({"Cache-Control": "max-age=60, must-revalidate"}, 61, {"Cache-Control": "max-stale"}, MISS),
    ({"Cache-Control": "no-cache, max-age=60"}, 0, {"Cache-Control": "max-stale"}, MISS),
    ({"Cache-Control": "max-age=60"}, 0, {"Cache-Control": "no-cache"}, MISS),
    ({"Cache-Control": "max-age=60"}, 0, {"Cache-Control": "No-Cache, max-stale"}, MISS),
    ({"Cache-Control": "max-age=60"}, 0, {"Cache-Control": "no-store"}, MISS),
    ({"Cache-Control": "max-age=60"}, 0, {"Cache-Control": "no-transform"}, HIT),
    ({"Cache-Control": "max-age=60"}, 0, {"Cache-Control": "nothing-to-see-here"}, HIT),
    ({"Cache-Control": "max-age=60"}, 0, {"Pragma": "no-cache"}, MISS),
    ({"Cache-Control": "max-age=60"}, 0, {"Pragma": "foo"}, HIT),
    ({"Cache-Control": "max-age=60"}, 0, {"Pragma": "no-cache", "Cache-Control": "max-age=9"}, HIT),
    ({"Cache-Control": "max-age=60, immutable"}, 3, {"Cache-Control": "max-age=0"}, HIT),
    ({"Cache-Control": "max-age=60, immutable"}, 3, {"Cache-Control": "no-cache"}, MISS),
    ({"Cache-Control": "max-age=60, immutable"}, 60, {"Cache-Control": "max-age=0"}, MISS),
]


@pytest.mark.parametrize(("headers", "after", "then", "expected"), DEMANDS)
def test_a_request_gets_what_it_demands(
    headers: dict[str, str], after: float, then: dict[str, str], expected: str, stage: Stage
) -> None:
    assert stage.verdict(headers, after=after, then=then) == expected


def test_what_is_stale_says_so_and_is_asked_for_only_if_the_server_wants_it(
    stage: Stage,
) -> None:
    origin = stage.open({"Cache-Control": "max-age=60"})
    stage.ask()
    stage.clock.tick(70)
    stale: Any = stage.ask({"Cache-Control": "max-stale"})
    assert (stale.from_cache, stale.stale, stale.age, stale.headers["Age"]) == (
        True, True, 70.0, "70",
    )  # fmt: skip
    assert not stage.session.engine.cache.refresher._keys
    assert len(origin.asked) == 1


@pytest.mark.parametrize("mode", ["rfc", "ttl"])
def test_whoever_wants_it_only_if_it_is_kept_gets_nothing_else(mode: str, stage: Stage) -> None:
    one = Stage(stage.server, stage.clock, cache_mode=mode)
    origin = one.open({"Cache-Control": "max-age=60"})
    only = {"Cache-Control": "only-if-cached"}
    answer: Any = one.ask(only)
    assert (answer.status_code, answer.reason, answer.content) == (504, "Gateway Timeout", b"")
    assert (answer.from_cache, answer.stale, answer.ok) == (False, False, False)
    assert origin.asked == []
    one.ask()
    kept: Any = one.ask(only)
    assert (kept.status_code, kept.from_cache) == (200, True)
    one.clock.tick(60)
    assert one.ask(only).status_code == 504
    assert len(origin.asked) == 1
    assert one.session.get_stats()["failed_requests"] == 2


def test_a_client_raises_for_what_is_only_wanted_if_it_is_kept(stage: Stage) -> None:
    only = {"Cache-Control": "only-if-cached"}
    with EnhancedAPIClient(stage.server.base_url) as client:
        with pytest.raises(requests.HTTPError) as raised:
            client.get("/x", headers=only)
        assert raised.value.response.status_code == 504
        assert client.get_cached("/x", headers=only) is None
    assert stage.server.hits() == 0


def test_a_request_that_must_not_be_stored_is_not(stage: Stage) -> None:
    origin = stage.open({"Cache-Control": "max-age=60"})
    stage.ask({"Cache-Control": "no-store"})
    assert [stage.ask().text for _ in range(2)] == ["2", "2"]
    assert len(origin.asked) == 2


def test_in_ttl_mode_demands_are_met_as_well(stage: Stage) -> None:
    ttl = Stage(stage.server, stage.clock, cache_mode="ttl", cache_ttl=60.0)
    for then, expected in [
        ({"Cache-Control": "max-age=2"}, MISS),
        ({"Cache-Control": "max-age=5"}, HIT),
        ({"Cache-Control": "min-fresh=58"}, MISS),
        ({"Cache-Control": "min-fresh=50"}, HIT),
        ({"Cache-Control": "no-cache"}, MISS),
        ({}, HIT),
    ]:
        assert ttl.verdict({}, after=3, then=then) == expected, then
    assert ttl.verdict({}, after=61, then={"Cache-Control": "max-stale"}) == MISS


# -- conditions of the caller's own ----------------------------------------------------------------

CHANGED = "Wed, 01 Jan 2020 00:00:00 GMT"
FRESH = {"Cache-Control": "max-age=60", "ETag": '"abc"', "Last-Modified": CHANGED, "X-A": "1"}

# What the caller has: is it what we keep?
KNOWN: list[tuple[dict[str, str], bool]] = [
    ({"If-None-Match": '"abc"'}, True),
    ({"If-None-Match": 'W/"abc"'}, True),
    ({"If-None-Match": '"abc", "d"'}, True),
    ({"If-None-Match": '"d", "abc", "e"'}, True),
    ({"If-None-Match": '"d","abc"'}, True),
    ({"If-None-Match": "*"}, True),
    ({"If-None-Match": '"abcd"'}, False),
    ({"If-None-Match": '"d"', "If-Modified-Since": CHANGED}, False),
    ({"If-None-Match": '"abc"', "If-Modified-Since": "Wed, 01 Jan 2000 00:00:00 GMT"}, True),
    ({"If-Modified-Since": CHANGED}, True),
    ({"If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT"}, True),
    ({"If-Modified-Since": "Wednesday, 01-Jan-20 00:00:00 GMT"}, True),
    ({"If-Modified-Since": "Tue, 31 Dec 2019 23:59:59 GMT"}, False),
    ({"If-Modified-Since": "soon"}, False),
]


@pytest.mark.parametrize(("asked", "is_known"), KNOWN)
def test_a_caller_who_has_it_already_is_told_so(
    asked: dict[str, str], is_known: bool, stage: Stage
) -> None:
    origin = stage.open(FRESH)
    stage.ask()
    answer: Any = stage.ask(asked)
    assert answer.status_code == (304 if is_known else 200)
    assert answer.text == ("" if is_known else "1")
    assert answer.from_cache
    assert answer.headers["ETag"] == '"abc"'
    assert ("X-A" in answer.headers) is not is_known
    assert len(origin.asked) == 1
    assert stage.ask().text == "1"


@pytest.mark.parametrize(("since", "status"), [(0, 304), (60, 304), (-60, 200)])
def test_what_nobody_says_has_changed_has_since_it_was_made(
    since: float, status: int, stage: Stage
) -> None:
    origin = stage.open({"Cache-Control": "max-age=600", "Date": 0})
    stage.ask()
    answer: Any = stage.ask({"If-Modified-Since": since})
    assert (answer.status_code, answer.from_cache) == (status, True)
    assert len(origin.asked) == 1


def test_a_304_that_a_caller_asked_for_goes_to_the_caller_untouched(stage: Stage) -> None:
    stage.server.route("/x", Reply(304, headers={"ETag": '"abc"', "X-A": "1"}))
    for _ in range(2):
        url = stage.server.url("/x")
        answer: Any = stage.session.get(url, headers={"If-None-Match": '"abc"'})
        assert (answer.status_code, answer.from_cache, answer.headers["X-A"]) == (304, False, "1")
    assert stage.session.get_stats()["cache_size"] == 0


def test_the_conditions_of_a_caller_and_ours_are_not_mixed(stage: Stage) -> None:
    origin = stage.open({"Cache-Control": "max-age=2", "ETag": '"abc"', "Last-Modified": CHANGED})
    stage.ask()
    stage.clock.tick(2)
    assert stage.ask({"If-None-Match": '"other"'}).status_code == 200
    assert origin.asked[-1].headers["If-None-Match"] == '"other"'
    assert "If-Modified-Since" not in origin.asked[-1].headers


@pytest.mark.parametrize(
    "asked", [{"If-Match": '"abc"'}, {"If-Unmodified-Since": CHANGED}, {"If-Range": '"abc"'}]
)
def test_other_conditions_are_for_the_origin_alone(asked: dict[str, str], stage: Stage) -> None:
    origin = stage.open(FRESH, Reply(412))
    stage.ask()
    assert stage.ask(asked).status_code == 412
    assert stage.ask().text == "1", "what it said to that is not kept"
    assert len(origin.asked) == 2


# -- parts -----------------------------------------------------------------------------------------

BODY = "01234567890"


@pytest.mark.parametrize(
    ("asked", "part", "place"),
    [
        ("bytes=0-1", "01", "0-1"),
        ("bytes=0-0", "0", "0-0"),
        ("bytes=1-", "1234567890", "1-10"),
        ("bytes=-1", "0", "10-10"),
        ("bytes=-5", "67890", "6-10"),
        ("bytes=-99", BODY, "0-10"),
        ("bytes=5-99", "567890", "5-10"),
        ("BYTES=2-3", "23", "2-3"),
    ],
)
def test_a_part_of_what_is_kept_whole_is_cut_from_it(
    asked: str, part: str, place: str, stage: Stage
) -> None:
    origin = stage.open(Reply(headers={"Cache-Control": "max-age=60", "X-A": "1"}, body=BODY))
    stage.ask()
    answer: Any = stage.ask({"Range": asked})
    assert (answer.status_code, answer.text, answer.from_cache) == (206, part, True)
    assert answer.headers["Content-Range"] == f"bytes {place}/11"
    assert (answer.headers["Content-Length"], answer.headers["X-A"]) == (str(len(part)), "1")
    assert stage.ask().text == BODY
    assert len(origin.asked) == 1


@pytest.mark.parametrize(
    ("asked", "headers", "status"),
    [
        ("bytes=99-", {}, 200),
        ("bytes=3-2", {}, 200),
        ("bytes=-0", {}, 200),
        ("bytes=0-1,3-4", {}, 200),
        ("items=0-1", {}, 200),
        ("bytes=0-1", {"Content-Encoding": "foo"}, 200),
        ("bytes=0-1", {}, 404),
        ("bytes=²-3", {}, 200),
    ],
)
def test_all_other_parts_only_the_origin_can_give(
    asked: str, headers: dict[str, str], status: int, stage: Stage
) -> None:
    said = {"Cache-Control": "max-age=60", **headers}
    origin = stage.open(Reply(status, headers=said, body=BODY), Reply(206, body="part"))
    stage.ask()
    answer: Any = stage.ask({"Range": asked})
    assert (answer.status_code, answer.text, answer.from_cache) == (206, "part", False)
    assert stage.ask().text == BODY
    assert len(origin.asked) == 2


def test_a_part_is_never_taken_for_the_whole_nor_kept(stage: Stage) -> None:
    part = Reply(
        206, body="67890", headers={"Cache-Control": "max-age=60", "Content-Range": "bytes 6-10/11"}
    )
    origin = stage.open(part, part, Reply(headers={"Cache-Control": "max-age=60"}, body=BODY))
    for _ in range(2):
        assert stage.ask({"Range": "bytes=-5"}).text == "67890"
    assert stage.ask().text == BODY
    assert len(origin.asked) == 3


def test_a_part_of_what_is_stale_is_asked_for_as_it_is(stage: Stage) -> None:
    origin = stage.open({"Cache-Control": "max-age=2", "ETag": '"x"'}, Reply(206, body="part"))
    stage.ask()
    stage.clock.tick(2)
    assert stage.ask({"Range": "bytes=0-0"}).status_code == 206
    assert "If-None-Match" not in origin.asked[-1].headers


def test_head_of_a_part_is_for_the_origin(stage: Stage) -> None:
    with Session(max_retries=0) as session:
        url = stage.server.url("/bytes/9")
        session.get(url, cache_ttl=60)
        head: Any = session.head(url, headers={"Range": "bytes=0-1"})
        assert head.from_cache is False
