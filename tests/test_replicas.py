"""Laws of replicas: each reader has an answer of its own, as good as the one that was fetched."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import timedelta
from typing import Any

import pytest
import requests

from browseros_api import Session
from browseros_api.replicas import Replica, Snapshot
from browseros_api.testing import ApiServer, Reply

DOCUMENT = {"items": [1, 2, {"deep": ["x"]}]}
LINK = '<http://h/?page=2>; rel="next"'


def fetched(server: ApiServer, path: str = "/x", **arguments: Any) -> requests.Response:
    """An answer as the engine hands it to a snapshot."""
    with Session(enable_cache=False, enable_deduplication=False) as session:
        return session.get(server.url(path), **arguments)


@pytest.fixture
def origin(api_server: ApiServer) -> requests.Response:
    api_server.route("/old", Reply(302, headers={"Location": "/x", "X-Hop": "1"}, body="moved"))
    api_server.route("/x", Reply(json=DOCUMENT, headers={"Link": LINK, "X-List": "a"}))
    return fetched(api_server, "/old", headers={"X-Asked": "1"})


@pytest.fixture
def snapshot(origin: requests.Response) -> Snapshot:
    return Snapshot(origin)


# -- as good as the original -----------------------------------------------------------------------

QUESTIONS: dict[str, Any] = {
    "status_code": lambda r: r.status_code,
    "ok": lambda r: r.ok,
    "truth": bool,
    "reason": lambda r: r.reason,
    "url": lambda r: r.url,
    "encoding": lambda r: r.encoding,
    "apparent_encoding": lambda r: r.apparent_encoding,
    "content": lambda r: r.content,
    "text": lambda r: r.text,
    "json": lambda r: r.json(),
    "headers": lambda r: dict(r.headers),
    "headers in any case": lambda r: r.headers["x-LIST"],
    "cookies": lambda r: r.cookies.get_dict(),
    "links": lambda r: r.links,
    "is_redirect": lambda r: r.is_redirect,
    "is_permanent_redirect": lambda r: r.is_permanent_redirect,
    "next": lambda r: r.next,
    "elapsed": lambda r: r.elapsed,
    "raise_for_status": lambda r: r.raise_for_status(),
    "iter_content": lambda r: list(r.iter_content(5)),
    "iter_content, whole": lambda r: list(r.iter_content(None)),
    "iter_content, text": lambda r: list(r.iter_content(5, decode_unicode=True)),
    "iter_lines": lambda r: list(r.iter_lines()),
    "iteration": list,
    "content, then its parts": lambda r: (r.content, list(r.iter_content(3))),
    "repr": repr,
    "request": lambda r: (r.request.method, r.request.url, dict(r.request.headers)),
    "history": lambda r: [(h.status_code, h.url, h.content, dict(h.headers)) for h in r.history],
    "request of a hop": lambda r: [h.request.headers["X-Asked"] for h in r.history],
    "connection": lambda r: r.connection,
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_a_replica_answers_every_question_as_the_original(
    question: Any, origin: requests.Response, snapshot: Snapshot
) -> None:
    assert question(snapshot.replica()) == question(origin)


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_a_pickled_replica_answers_every_question_as_a_pickled_original(
    question: Any, origin: requests.Response, snapshot: Snapshot
) -> None:
    answers = []
    for response in (origin, snapshot.replica()):
        try:
            answers.append(question(pickle.loads(pickle.dumps(response))))
        except AttributeError:  # next and connection do not survive, in requests either
            answers.append(AttributeError)
    assert answers[0] == answers[1]


def test_a_replica_is_a_response(snapshot: Snapshot) -> None:
    replica = snapshot.replica()
    assert isinstance(replica, requests.Response)
    assert replica.raw is None
    assert snapshot.status_code == 200


def test_a_replica_can_be_closed_at_any_time_and_goes_on_telling(snapshot: Snapshot) -> None:
    with snapshot.replica() as replica:
        replica.close()
    replica.close()
    assert replica.json() == DOCUMENT
    assert list(replica.iter_content(1000)) == [replica.content]


def test_it_says_whether_it_came_from_the_cache_and_so_do_its_hops(snapshot: Snapshot) -> None:
    for said in (False, True):
        replica = snapshot.replica(from_cache=said)
        assert replica.from_cache is said
        assert [hop.from_cache for hop in replica.history] == [said]  # type: ignore[attr-defined]


def test_an_attribute_that_no_response_has_is_an_attribute_error(snapshot: Snapshot) -> None:
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        _ = snapshot.replica().colour
    with pytest.raises(AttributeError, match="no attribute 'headers'"):
        _ = Replica.__new__(Replica).headers


def test_a_bad_status_raises_with_the_replica_as_its_response(api_server: ApiServer) -> None:
    api_server.route("/bad", Reply(404, json={"e": 1}))
    replica = Snapshot(fetched(api_server, "/bad")).replica()
    assert not replica.ok
    with pytest.raises(requests.HTTPError) as caught:
        replica.raise_for_status()
    assert caught.value.response is replica


def test_a_replica_of_an_unfollowed_redirect_knows_what_is_next(api_server: ApiServer) -> None:
    api_server.route("/old", Reply(302, headers={"Location": "/new"}))
    original = fetched(api_server, "/old", allow_redirects=False)
    snapshot = Snapshot(original)
    for mine in (snapshot.replica(), original, snapshot.replica()):
        assert mine.next is not None
        assert mine.next.url == api_server.url("/new")
        assert "X-Spoilt" not in mine.next.headers
        mine.next.headers["X-Spoilt"] = "1"


def test_a_replica_may_be_followed_by_hand(api_server: ApiServer) -> None:
    api_server.route("/old", Reply(302, headers={"Location": "/new"}))
    replica = Snapshot(fetched(api_server, "/old", allow_redirects=False)).replica()
    with requests.Session() as session:
        assert session.send(replica.next).json()["path"] == "/new"


# -- each his own ----------------------------------------------------------------------------------


def spoil(replica: Any) -> None:
    """Everything that a reader could do to an answer in its hands."""
    replica.headers["X-List"] = "spoilt"
    del replica.headers["Link"]
    replica.cookies.set("who", "spoilt")
    replica.request.headers["X-Asked"] = "spoilt"
    replica.request.hooks["response"].append(print)
    replica.request.url = "spoilt"
    replica.request._cookies.set("who", "spoilt")
    replica.history[0].headers["X-Hop"] = "spoilt"
    replica.history[0].request.headers["X-Asked"] = "spoilt"
    replica.history.clear()
    replica.json()["items"].clear()
    replica.encoding = "utf-16"
    replica.status_code, replica.url, replica.reason = 500, "spoilt", "spoilt"
    replica.elapsed = timedelta(1)
    replica._content = b"spoilt"
    replica.extra = "spoilt"


def looks(answer: requests.Response) -> Any:
    asked = answer.request
    return (
        answer.status_code, answer.reason, answer.url, answer.encoding, answer.elapsed,
        answer.content, answer.json(), dict(answer.headers), answer.cookies.get_dict(),
        asked.url, dict(asked.headers), list(asked.hooks["response"]), asked._cookies.get_dict(),
        hasattr(answer, "extra"),
        [(hop.url, dict(hop.headers), dict(hop.request.headers)) for hop in answer.history],
    )  # fmt: skip


def test_what_one_reader_changes_no_other_sees_before_or_after(
    origin: requests.Response, snapshot: Snapshot
) -> None:
    expected = looks(origin)
    early, spoiler, lazy = snapshot.replica(), snapshot.replica(), snapshot.replica()
    assert looks(early) == expected
    spoil(spoiler)
    assert looks(early) == looks(lazy) == looks(snapshot.replica()) == expected
    assert looks(origin) == expected


def test_what_the_caller_who_fetched_it_changes_no_reader_sees(
    origin: requests.Response, snapshot: Snapshot
) -> None:
    expected = looks(snapshot.replica())
    spoil(origin)
    assert looks(snapshot.replica()) == expected


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_replica_can_be_copied(
    copied: Any, origin: requests.Response, snapshot: Snapshot
) -> None:
    twin = copied(snapshot.replica(from_cache=True))
    assert looks(twin) == looks(origin)
    assert twin.from_cache is True
    assert twin.raw is None
    twin.close()
    spoil(copied(snapshot.replica()))
    assert looks(snapshot.replica()) == looks(origin)


def test_a_replica_can_be_pickled_before_and_after_it_was_looked_at(
    origin: requests.Response, snapshot: Snapshot
) -> None:
    replica = snapshot.replica(from_cache=True)
    for _ in range(2):
        twin = pickle.loads(pickle.dumps(replica))
        assert looks(twin) == looks(origin)
        assert twin.from_cache is True
        assert twin.history[0].from_cache is True
        looks(replica)


def test_what_was_pickled_can_be_kept_again(origin: requests.Response) -> None:
    twin = pickle.loads(pickle.dumps(origin))
    assert looks(Snapshot(twin).replica()) == looks(origin)


# -- odd answers -----------------------------------------------------------------------------------


def test_an_answer_that_nobody_asked_for_can_be_kept() -> None:
    """As test doubles and adapters of other kinds make them."""
    bare = requests.Response()
    bare.status_code, bare._content, bare._content_consumed = 200, b"{}", True
    bare.headers["Content-Length"] = 2  # type: ignore[assignment]
    replica = Snapshot(bare).replica()
    assert replica.request is None
    assert replica.json() == {}
    assert replica.headers["content-length"] == 2
    assert replica.next is None
    bare.request = object()  # type: ignore[assignment]
    assert Snapshot(bare).replica().request is bare.request


def test_an_empty_answer_stays_empty(api_server: ApiServer) -> None:
    api_server.route("/none", Reply(204))
    replica = Snapshot(fetched(api_server, "/none")).replica()
    assert (replica.content, replica.text, list(replica.iter_lines())) == (b"", "", [])


# -- what it costs ---------------------------------------------------------------------------------


def test_the_size_counts_the_body_the_headers_and_every_hop(api_server: ApiServer) -> None:
    small = Snapshot(fetched(api_server, "/bytes/10")).size
    assert Snapshot(fetched(api_server, "/bytes/100010")).size == pytest.approx(
        small + 100_000, abs=20
    )
    api_server.route("/head", Reply(headers={"X-Long": "x" * 5000}, body=b"x" * 10))
    assert Snapshot(fetched(api_server, "/head")).size > small + 5000
    way = Reply(302, headers={"Location": "/bytes/10"}, body=b"x" * 50_000)
    api_server.route("/way", way)
    assert Snapshot(fetched(api_server, "/way")).size > 50_000 + 2 * small


def test_a_long_chain_of_redirects_costs_no_more_than_its_hops(api_server: ApiServer) -> None:
    for number in range(28):
        api_server.route(f"/{number}", Reply(302, headers={"Location": f"/{number + 1}"}))
    origin = fetched(api_server, "/0")
    snapshot = Snapshot(origin)
    replica = snapshot.replica()
    for number, hop in enumerate(replica.history):  # each with those before it, as in requests
        assert hop.history == replica.history[:number]
    assert len(pickle.loads(pickle.dumps(replica)).history) == 28
    assert snapshot.size < 29 * 2 * Snapshot(origin.history[0]).size


def test_the_body_is_there_once_however_many_read_it(
    origin: requests.Response, snapshot: Snapshot
) -> None:
    replicas = [snapshot.replica() for _ in range(10)]
    assert {id(replica.content) for replica in replicas} == {id(origin.content)}
    assert all(json.loads(replica.content) == DOCUMENT for replica in replicas)


def test_what_nobody_looks_at_is_not_copied(snapshot: Snapshot) -> None:
    replica = snapshot.replica()
    assert replica.ok is True
    assert replica.json() == DOCUMENT
    assert not {"headers", "cookies", "history", "request"} & vars(replica).keys()
