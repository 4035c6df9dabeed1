"""Where a call would raise, its caller may have something else: after everything else was tried."""

from __future__ import annotations

import asyncio
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

import browseros_api.aio
from browseros_api import Asked, CircuitOpenError, ClientClosed, EnhancedAPIClient, Session
from browseros_api.testing import ApiServer, Reply, wait_until

NOBODY = "http://127.0.0.1:9/x"  # where nobody listens


def broken(api_server: ApiServer) -> str:
    api_server.route("/broken", Reply(reset="before"))
    return api_server.url("/broken")


# -- a session -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "status", "content", "kind"),
    [
        ({"a": [1]}, 200, b'{"a": [1]}', "application/json"),
        (0, 200, b"0", "application/json"),
        ("grün", 200, "grün".encode(), "text/plain; charset=utf-8"),
        (b"\x00", 200, b"\x00", "application/octet-stream"),
        (None, 204, b"", None),
    ],
)
def test_a_value_becomes_an_answer_that_says_what_it_is(
    value: Any, status: int, content: bytes, kind: str | None
) -> None:
    with Session(max_retries=0) as session:
        answer = session.get(NOBODY, fallback=value)
        assert (answer.status_code, answer.content) == (status, content)
        assert answer.headers.get("Content-Type") == kind
        assert answer.from_fallback  # type: ignore[attr-defined]
        assert not answer.from_cache  # type: ignore[attr-defined]
        assert (answer.url, answer.request.method, answer.ok) == (NOBODY, "GET", True)
        assert answer.text == (value if isinstance(value, str) else content.decode())
        told = session.get_stats()
        assert (told["failed_requests"], told["fallback_responses"]) == (1, 1)


def test_an_answer_that_is_given_is_copied_for_each_caller(api_server: ApiServer) -> None:
    with Session(max_retries=0) as session:
        kept = session.get(api_server.url("/echo"))
        assert not kept.from_fallback  # type: ignore[attr-defined]
        first, second = (session.get(NOBODY, fallback=kept) for _ in range(2))
        first.headers["X-Mine"] = "1"
        assert second.json() == kept.json()
        assert "X-Mine" not in {**second.headers, **kept.headers}
        assert second.from_fallback  # type: ignore[attr-defined]
        assert pickle.loads(pickle.dumps(second)).from_fallback
        assert not kept.from_fallback  # type: ignore[attr-defined]


def test_a_function_is_told_of_the_error_and_of_what_was_asked() -> None:
    told: list[Any] = []

    def instead(error: requests.RequestException, asked: Asked) -> Any:
        told.extend((error, asked))
        return {"page": asked.arguments["params"]["page"]}

    with Session(max_retries=0, fallback=instead) as session:
        assert session.get(NOBODY, params={"page": 2}).json() == {"page": 2}
    error, asked = told
    assert isinstance(error, requests.ConnectionError)
    assert error.request_state == "never-sent"  # type: ignore[attr-defined]
    assert (asked.method, asked.url) == ("GET", NOBODY)


def test_what_a_function_raises_comes_out(api_server: ApiServer) -> None:
    def again(error: Exception, _: Asked) -> Any:
        raise error

    def wrong(*_: Any) -> Any:
        raise LookupError("nothing")

    with Session(max_retries=0, fallback={}) as session:
        with pytest.raises(requests.ConnectionError):
            session.get(broken(api_server), fallback=again)
        with pytest.raises(LookupError):
            session.get(broken(api_server), fallback=wrong)
        with pytest.raises(TypeError, match="fallback must be a Response, str, bytes or JSON"):
            session.get(broken(api_server), fallback=lambda *_: object())
        assert session.get_stats()["fallback_responses"] == 1  # the last one came to a value


def test_an_answer_of_any_status_is_an_answer_to_a_session(api_server: ApiServer) -> None:
    with Session(max_retries=0) as session:
        answer = session.get(api_server.url("/status/503"), fallback={})
        assert answer.status_code == 503
        assert not answer.from_fallback  # type: ignore[attr-defined]


def test_an_open_circuit_and_a_deadline_have_a_fallback(api_server: ApiServer) -> None:
    errors: list[Exception] = []

    def instead(error: Exception, _: Asked) -> str:
        errors.append(error)
        return "instead"

    with Session(max_retries=0, failure_threshold=1, fallback=instead) as session:
        for _ in range(2):
            assert session.get(broken(api_server)).text == "instead"
        answer = session.get(api_server.url("/delay/5"), deadline=0.05)
        assert answer.text == "instead"
    assert isinstance(errors[1], CircuitOpenError)
    assert isinstance(errors[2], requests.Timeout)


def test_what_is_stale_goes_first(api_server: ApiServer) -> None:
    fresh = Reply(json="kept", headers={"Cache-Control": "max-age=0", "ETag": '"1"'})
    api_server.script("/x", fresh, Reply(reset="before"))
    with Session(max_retries=0, stale_if_error=60) as session:
        assert session.get(api_server.url("/x")).json() == "kept"
        answer = session.get(api_server.url("/x"), fallback="made up")
        assert answer.json() == "kept"
        assert answer.stale  # type: ignore[attr-defined]
        assert session.get_stats()["fallback_responses"] == 0


def test_it_is_never_kept(api_server: ApiServer) -> None:
    api_server.script("/x", Reply(reset="before"), Reply(json="true"))
    with EnhancedAPIClient(api_server.base_url, max_retries=0) as client:
        assert client.get("/x", fallback="made up") == "made up"
        assert client.get("/x", fallback="made up") == "true"


def test_who_follows_a_call_gets_its_own_fallback(api_server: ApiServer) -> None:
    hold = threading.Event()
    api_server.route("/x", Reply(hold=hold, reset="before"))
    with (
        EnhancedAPIClient(api_server.base_url, max_retries=0) as client,
        ThreadPoolExecutor(4) as threads,
    ):
        calls = [threads.submit(client.get, "/x", fallback=n) for n in range(3)]
        wait_until(lambda: api_server.hits("/x") == 1)
        calls.append(threads.submit(client.get, "/x"))
        wait_until(lambda: client.get_stats()["in_flight_requests"] == 4)
        hold.set()
        assert [call.result(10) for call in calls[:3]] == [0, 1, 2]
        with pytest.raises(requests.ConnectionError):
            calls[3].result(10)


@pytest.mark.parametrize("url", ["no scheme", "http://", "ftp://127.0.0.1/"])
def test_what_the_caller_got_wrong_is_never_hidden(url: str) -> None:
    with Session(fallback={}) as session, pytest.raises(ValueError, match=r"."):
        session.get(url)


def test_nor_is_what_is_no_failure_of_the_network(api_server: ApiServer) -> None:
    def hook(*_: Any, **__: Any) -> None:
        raise KeyError("mine")

    with Session(fallback={}) as session:
        with pytest.raises(KeyError):
            session.get(api_server.url("/x"), hooks={"response": hook})
        with pytest.raises(requests.exceptions.InvalidJSONError):
            session.post(api_server.url("/x"), json={"a": float("nan")})
        with pytest.raises(requests.exceptions.InvalidHeader):
            session.get(api_server.url("/x"), headers={"A": 1})
    client = EnhancedAPIClient(api_server.base_url, fallback={})
    client.close()
    with pytest.raises(ClientClosed):
        client.get("/x")


def test_settings_with_a_fallback_are_pickled(api_server: ApiServer) -> None:
    for settings, has_one in (({"fallback": {"a": 1}}, True), ({}, False)):
        with Session(max_retries=0, **settings) as session:
            twin = pickle.loads(pickle.dumps(session))
        if has_one:
            assert twin.get(NOBODY).json() == {"a": 1}
        else:
            with pytest.raises(requests.ConnectionError):
                twin.get(NOBODY)
        twin.close()


# -- the clients -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        Reply(503),
        Reply(404),
        Reply(reset="before"),
        Reply(body=b"{", content_type="application/json"),
    ],
)
def test_a_client_returns_the_value_as_it_is(api_server: ApiServer, reply: Reply) -> None:
    api_server.route("/x", reply)
    given = {"users": [b"any", object()]}
    with EnhancedAPIClient(api_server.base_url, max_retries=0, fallback=lambda *_: given) as client:
        assert client.get("/x") is given
        assert client.get("/x", fallback=None) is None
        assert client.submit("GET", "/x", fallback=[1]).result(10) == [1]
        assert [*client.get_many(["/x", "/x"], fallback=7)] == [7, 7]
        told = client.get_stats()
        assert told["fallback_responses"] == told["failed_requests"] == 5


def test_a_value_is_given_to_each_caller_anew() -> None:
    with EnhancedAPIClient("http://127.0.0.1:9", max_retries=0, fallback={"users": []}) as client:
        client.get("/x")["users"].append("mine")
        assert client.get("/x") == {"users": []}


def test_of_an_answer_a_client_returns_what_it_says(api_server: ApiServer) -> None:
    with Session() as session:
        answer = session.get(api_server.url("/echo"))
    with EnhancedAPIClient("http://127.0.0.1:9", max_retries=0, fallback=answer) as client:
        assert client.get("/x")["path"] == "/echo"


def test_a_function_may_look_at_the_status(api_server: ApiServer) -> None:
    def unless_missing(error: requests.RequestException, asked: Asked) -> Any:
        if error.response is not None and error.response.status_code == 404:
            raise error
        return asked.url

    with EnhancedAPIClient(api_server.base_url, max_retries=0, fallback=unless_missing) as client:
        assert client.get("/status/500") == api_server.url("/status/500")
        with pytest.raises(requests.HTTPError, match="404"):
            client.get("/status/404")


def test_the_awaited_client_awaits_its_fallback(api_server: ApiServer) -> None:
    here: list[threading.Thread] = []

    def blocking(error: Exception, _: Asked) -> str:
        here.append(threading.current_thread())
        return type(error).__name__

    async def awaited(*_: Any) -> str:
        await asyncio.sleep(0)
        return "awaited"

    async def main() -> None:
        async with browseros_api.aio.EnhancedAPIClient(
            api_server.base_url, max_retries=0
        ) as client:
            assert await client.get("/status/500", fallback={"a": 1}) == {"a": 1}
            assert await client.get("/status/500", fallback=blocking) == "HTTPError"
            assert await client.get("/status/500", fallback=awaited) == "awaited"
            many = client.get_many(["/status/500", "/bytes/3"], fallback=awaited)
            assert [one async for one in many] == ["awaited", b"xxx"]
            with pytest.raises(requests.HTTPError):
                await client.get("/status/500")
            assert client.get_stats()["fallback_responses"] == 4

    asyncio.run(main())
    assert here != [threading.main_thread()]
