"""Laws of bare answers: all of an answer leaves the process, or nothing of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import requests

from browseros_api.bare import asked_as, bared, requests_of, restored
from browseros_api.replicas import Snapshot
from tests.stores.answers import URL, answer

SECRET = {"Authorization": "Bearer s3cret"}


def again(snapshot: Snapshot, *, without_url: bool = False) -> Snapshot:
    first, *others = bared(snapshot)
    if without_url:
        first = first._replace(url=None)
    return restored([first, *others], snapshot._choosers)


def test_nothing_of_the_request_but_its_method_and_url_is_left() -> None:
    snapshot = Snapshot(answer(sent=SECRET, history=[answer(b"", status=302, sent=SECRET)]))
    assert "s3cret" not in repr(bared(snapshot))
    replica = again(snapshot).replica()
    for one in (replica, *replica.history):
        assert (one.request.method, one.request.url) == ("GET", URL)
        assert dict(one.request.headers) == {}


def test_what_is_left_may_be_sent_again(api_server: Any) -> None:
    snapshot = Snapshot(answer(url=api_server.url("/x")))
    with requests.Session() as session:
        assert session.send(again(snapshot).replica().request).json()["path"] == "/x"


def test_the_url_that_is_not_known_is_that_of_whoever_asks() -> None:
    plain, chain = Snapshot(answer()), Snapshot(answer(url=URL + "/2", history=[answer()]))
    asked = again(plain, without_url=True)
    assert asked_as(asked, URL + "?q=1").replica().url == URL + "?q=1"
    assert asked_as(asked, URL + "?q=2").replica().request.url == URL + "?q=2"
    replica = asked_as(again(chain, without_url=True), URL + "?q=1").replica()
    assert (replica.url, replica.history[0].url) == (URL + "/2", URL + "?q=1")
    assert replica.history[0].request.url == URL + "?q=1"


def test_the_url_that_is_known_stays() -> None:
    for snapshot in (Snapshot(answer()), Snapshot(answer(url=URL + "/2", history=[answer()]))):
        assert asked_as(snapshot, "http://other/") is snapshot
        known = again(snapshot)
        assert asked_as(known, "http://other/") is known


def test_what_is_restored_can_leave_again() -> None:
    snapshot = Snapshot(answer(url=URL + "/2", history=[answer(b"", status=302)]))
    assert bared(again(snapshot)) == bared(snapshot)
    assert again(snapshot).size == snapshot.size


def unread(response: Any) -> None:
    response._content = False


def with_cookies(response: requests.Response) -> None:
    response.cookies.set("sid", "1")


def of_no_request(response: Any) -> None:
    response.request = None


def of_a_mock_s_request(response: Any) -> None:
    response.request = SimpleNamespace(method="GET", url=URL)


def of_another_url(response: requests.Response) -> None:
    response.url = URL + "/other"


@pytest.mark.parametrize(
    "spoil", [unread, with_cookies, of_no_request, of_a_mock_s_request, of_another_url]
)
@pytest.mark.parametrize("of_a_hop", [True, False])
def test_an_answer_that_would_not_leave_as_a_whole_does_not_leave(
    spoil: Any, of_a_hop: bool
) -> None:
    hop, last = answer(b"", status=302), answer()
    spoil(hop if of_a_hop else last)
    last.history = [hop]
    with pytest.raises(ValueError, match="it"):
        bared(Snapshot(last))


def test_all_requests_are_told() -> None:
    snapshot = Snapshot(answer(url=URL + "/2", sent=SECRET, history=[answer()]))
    assert [request.url for request in requests_of(snapshot)] == [URL, URL + "/2"]
