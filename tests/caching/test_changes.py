"""Laws of what unsafe methods make out of date (RFC 9111, 4.4)."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from browseros_api.testing import ApiServer, Received, Reply, wait_until
from tests.caching.judging import Stage

FRESH = {"Cache-Control": "max-age=100000"}
METHODS = ["POST", "PUT", "PATCH", "DELETE", "M-SEARCH", "PURGE"]


def changing(stage: Stage, status: int = 200, **headers: str) -> None:
    """Its path answers GET with what is fresh, and anything else with that."""
    stage.open(FRESH)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    for method in METHODS:
        stage.server.route(stage.path, Reply(status, headers=named), method=method)


def is_kept(stage: Stage, url: str) -> bool:
    kept: bool = stage.session.get(url, headers={"Cache-Control": "only-if-cached"}).ok
    return kept


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("status", [200, 201, 204, 303, 400, 404, 500])
def test_a_change_makes_its_url_out_of_date_unless_it_fails(
    method: str, status: int, stage: Stage
) -> None:
    changing(stage, status)
    url = stage.server.url(stage.path)
    stage.session.get(url)
    assert is_kept(stage, url)
    stage.session.request(method, url, data="abc", allow_redirects=False)
    assert is_kept(stage, url) is (status >= 400)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE"])
def test_what_is_safe_changes_nothing(method: str, stage: Stage) -> None:
    stage.open(FRESH)
    url = stage.server.url(stage.path)
    stage.session.get(url)
    stage.session.request(method, url)
    assert is_kept(stage, url)


@pytest.mark.parametrize("field", ["Location", "Content_Location"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("status", [201, 303, 500])
def test_so_are_the_urls_of_the_same_origin_that_the_answer_names(
    field: str, method: str, status: int, stage: Stage
) -> None:
    stage.open(FRESH)
    named = stage.path
    urls = [stage.server.url(named), stage.server.url(named + "?page=2")]
    for url in urls:
        stage.session.get(url)
    for place in (named, named[1:], stage.server.url(named), stage.server.url(named) + "#top"):
        changing(stage, status, **{field: place})
        for url in urls:
            stage.session.get(url)
        stage.session.request(
            method, stage.server.url(stage.path), data="abc", allow_redirects=False
        )
        assert [is_kept(stage, url) for url in urls] == [status >= 400] * 2, place


def test_of_another_origin_nobody_may_speak(stage: Stage) -> None:
    with ApiServer() as other:
        other.route("/kept", Reply(headers=FRESH))
        stage.session.get(other.url("/kept"))
        for place in (other.url("/kept"), "//" + other.url("/kept").partition("//")[2]):
            changing(stage, Location=place, Content_Location=place)
            stage.session.post(stage.server.url(stage.path))
            assert is_kept(stage, other.url("/kept"))


@pytest.mark.parametrize("place", ["", "http://[", "http://", "\\", "mailto:a@b", "http://h:x/"])
def test_a_place_that_makes_no_sense_does_no_harm(place: str, stage: Stage) -> None:
    changing(stage, Content_Location=place)
    url = stage.server.url(stage.path)
    stage.session.get(url)
    assert stage.session.post(url).status_code == 200
    assert not is_kept(stage, url)


def test_where_a_change_was_redirected_from_and_to_is_out_of_date(stage: Stage) -> None:
    stage.open(FRESH)
    made = stage.server.url(stage.path)
    stage.session.get(made)
    changing(stage, 303, Location=stage.server.url(stage.path))
    asked: Any = stage.session.post(stage.server.url(stage.path))
    assert [hop.status_code for hop in asked.history] == [303]
    assert not is_kept(stage, stage.server.url(stage.path))


def test_a_call_in_the_air_to_a_place_that_was_named_is_not_joined(stage: Stage) -> None:
    go, numbers = threading.Event(), iter("12")

    def held(request: Received) -> Reply:
        number = next(numbers)
        return Reply(body=number, hold=go if number == "1" else None, headers=FRESH)

    stage.server.route("/users/7", held)
    stage.server.route("/users", Reply(201, headers={"Location": "/users/7"}), method="POST")
    first: list[str] = []
    asking = threading.Thread(
        target=lambda: first.append(stage.session.get(stage.server.url("/users/7")).text)
    )
    asking.start()
    wait_until(lambda: stage.server.hits("/users/7") == 1)
    stage.session.post(stage.server.url("/users"))
    assert stage.session.get(stage.server.url("/users/7"), timeout=10).text == "2"
    go.set()
    asking.join(10)
    assert first == ["1"]
    assert stage.session.get(stage.server.url("/users/7")).text == "2", "nor is that kept"
