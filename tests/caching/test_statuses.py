"""Laws of statuses: which are kept when the server says so, and which without (RFC 9111, 3)."""

from __future__ import annotations

from typing import Any

import pytest

from browseros_api.testing import Reply
from tests.caching.judging import CONDITIONAL, HIT, MISS, Stage

FINAL = [
    *(200, 201, 202, 203, 204, 205, 299, 300, 301, 302, 303, 307, 308),
    *(400, 401, 403, 404, 405, 410, 414, 429, 451, 499, 500, 501, 502, 503, 504, 599, 999),
]


@pytest.mark.parametrize("status", FINAL)
def test_whatever_the_status_what_is_said_to_be_fresh_is(status: int, stage: Stage) -> None:
    assert stage.verdict(Reply(status, headers={"Cache-Control": "max-age=60"})) == HIT
    said: Any = {"Expires": 100_000, "Last-Modified": 0, "Date": 0}
    assert stage.verdict(Reply(status, headers=list(said.items()))) == HIT


@pytest.mark.parametrize("status", FINAL)
def test_whatever_the_status_what_is_stale_is_not_used(status: int, stage: Stage) -> None:
    said: Any = {"Expires": -5000, "Date": 0}
    assert stage.verdict(Reply(status, headers=list(said.items()))) == MISS


@pytest.mark.parametrize("status", FINAL)
def test_a_time_is_guessed_where_statuses_may_be_kept_by_default(status: int, stage: Stage) -> None:
    said: Any = {"Last-Modified": -86_400, "Date": 0}
    is_guessed = status in {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}
    reply = Reply(status, headers=list(said.items()))
    assert stage.verdict(reply) == (HIT if is_guessed else MISS)
    public = Reply(status, headers=[*said.items(), ("Cache-Control", "public")])
    assert stage.verdict(public) == HIT


@pytest.mark.parametrize(
    ("changed", "after", "expected"),
    [
        (-86_400, 8600, HIT),
        (-86_400, 8640, CONDITIONAL),
        (-600, 58, HIT),
        (-600, 60, CONDITIONAL),
        (-1e9, 86_399, HIT),
        (-1e9, 86_400, CONDITIONAL),
        (60, 0, CONDITIONAL),
        ("yesterday", 0, CONDITIONAL),
    ],
)
def test_the_time_that_is_guessed_is_a_tenth_of_that_since_the_last_change(
    changed: Any, after: float, expected: str, stage: Stage
) -> None:
    assert stage.verdict({"Last-Modified": changed, "Date": 0}, after=after) == expected


@pytest.mark.parametrize("status", [206, 304])
def test_an_answer_about_another_is_never_kept(status: int, stage: Stage) -> None:
    headers = {"Cache-Control": "max-age=60", "Content-Range": "bytes 0-0/9"}
    assert stage.verdict(Reply(status, headers=headers)) == MISS


# -- redirects -------------------------------------------------------------------------------------

FRESH = {"Cache-Control": "max-age=60"}


def test_a_redirect_that_was_not_followed_is_not_for_those_who_follow(stage: Stage) -> None:
    stage.server.route("/target", Reply(body="there"))
    origin = stage.open(Reply(301, headers={**FRESH, "Location": "/target"}))
    assert stage.ask().status_code == 301
    assert stage.ask(allow_redirects=True).text == "there"
    again: Any = stage.ask()
    assert (again.status_code, again.from_cache, again.next.url[-7:]) == (301, True, "/target")
    assert len(origin.asked) == 2


def test_a_chain_is_fresh_as_long_as_its_least_lasting_hop_and_for_followers_only(
    stage: Stage,
) -> None:
    stage.server.route("/target", Reply(body="there", headers={"Cache-Control": "max-age=9"}))
    origin = stage.open(Reply(302, headers={**FRESH, "Location": "/target"}))
    assert stage.ask(allow_redirects=True).text == "there"
    hit: Any = stage.ask(allow_redirects=True)
    assert (hit.text, hit.from_cache, [hop.status_code for hop in hit.history]) == (
        "there", True, [302],
    )  # fmt: skip
    assert stage.ask().status_code == 302, "who does not follow gets the redirect"
    stage.clock.tick(9)
    stage.ask(allow_redirects=True)
    assert len(origin.asked) == 3


def test_an_answer_that_is_no_redirect_is_for_those_who_follow_and_those_who_do_not(
    stage: Stage,
) -> None:
    origin = stage.open(FRESH)
    stage.ask(allow_redirects=True)
    stage.ask(allow_redirects=False)
    assert len(origin.asked) == 1
