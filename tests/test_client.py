"""The blocking client: JSON in, JSON out, and every law of its door."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import os
import pickle
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from browseros_api import (
    CircuitBreaker,
    CircuitOpenError,
    ClientClosed,
    DeadlineExceeded,
    EnhancedAPIClient,
    ReadTimeout,
    Session,
    aio,
)
from browseros_api.testing import ApiServer, FakeClock, Received, Reply, wait_until

SPEC_KEYS = [
    *("total_requests", "successful_requests", "failed_requests", "success_rate"),
    *("cached_responses", "deduplicated_requests", "average_latency_ms"),
    *("cache_size", "in_flight_requests"),
]


@pytest.fixture
def client(api_server: ApiServer) -> Iterator[EnhancedAPIClient]:
    with EnhancedAPIClient(api_server.base_url, retry_base_delay=0.001) as client:
        yield client


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


def figures(client: EnhancedAPIClient, *names: str) -> tuple[Any, ...]:
    stats = client.get_stats()
    return tuple(stats[name] for name in names)


# -- verbs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "method"),
    [
        (lambda client: client.get("/x"), "GET"),
        (lambda client: client.post("/x"), "POST"),
        (lambda client: client.put("/x"), "PUT"),
        (lambda client: client.patch("/x"), "PATCH"),
        (lambda client: client.delete("/x"), "DELETE"),
        (lambda client: client.options("/x"), "OPTIONS"),
        (lambda client: client.request("REPORT", "/x"), "REPORT"),
        (lambda client: client.request("get", "/x"), "GET"),
    ],
)
def test_each_verb_sends_its_method(
    client: EnhancedAPIClient, call: Callable[[EnhancedAPIClient], Any], method: str
) -> None:
    answer = call(client)
    assert (answer["method"], answer["path"]) == (method, "/x")


def test_head_has_no_answer_but_errors(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    assert client.head("/x") is None
    with pytest.raises(requests.HTTPError):
        client.head("/status/404")
    assert [asked.method for asked in api_server.requests] == ["HEAD", "HEAD"]


@pytest.mark.parametrize(
    ("verb", "names"),
    [
        ("get", ["endpoint", "params", "headers", "use_cache", "cache_ttl"]),
        ("post", ["endpoint", "data", "headers"]),
        ("put", ["endpoint", "data", "headers"]),
        ("patch", ["endpoint", "data", "headers"]),
        ("delete", ["endpoint", "headers"]),
        ("request", ["method", "endpoint", "params", "data", "headers"]),
    ],
)
def test_parameters_are_those_of_the_overview_in_their_order(verb: str, names: list[str]) -> None:
    parameters = inspect.signature(getattr(EnhancedAPIClient, verb)).parameters
    assert list(parameters)[1 : len(names) + 1] == names
    defaults = {name: parameters[name].default for name in names if name in ("use_cache", "data")}
    assert all(value in (True, None) for value in defaults.values())


def test_every_verb_takes_what_request_takes(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    for verb in ("get", "post", "put", "patch", "delete", "head", "options"):
        getattr(client, verb)(
            "/x", headers={"X-A": "b"}, params={"p": "1"}, cookies={"c": "2"}, auth=("u", "v"),
            timeout=5, deadline=20, verify=True, allow_redirects=True, hooks={"response": []},
        )  # fmt: skip
    for asked in api_server.requests:
        assert (asked.headers["X-A"], asked.query) == ("b", {"p": ["1"]})
        assert asked.headers["Cookie"] == "c=2"
        assert asked.headers["Authorization"].startswith("Basic ")
    assert api_server.hits() == 7


def test_headers_of_a_call_come_on_top_of_the_clients(api_server: ApiServer) -> None:
    own = {"X-Own": "client", "X-Both": "client", "X-Gone": "client"}
    with EnhancedAPIClient(api_server.base_url, headers=own) as client:
        client.get("/x", headers={"x-both": "call", "X-Call": "call", "X-Gone": None})
        client.get("/y")
    first, second = (asked.headers for asked in api_server.requests)
    assert (first["X-Own"], first["X-Both"], first["X-Call"]) == ("client", "call", "call")
    assert "X-Gone" not in first
    assert (second["X-Both"], second["X-Gone"]) == ("client", "client")


def test_the_callers_own_headers_are_not_changed(client: EnhancedAPIClient) -> None:
    headers = {"X-A": "b"}
    client.post("/x", data={}, headers=headers)
    assert headers == {"X-A": "b"}


def test_a_response_hook_hears_the_answer(client: EnhancedAPIClient) -> None:
    heard: list[int] = []

    def hook(response: requests.Response, **_: Any) -> None:
        heard.append(response.status_code)

    client.get("/x", hooks={"response": hook})
    assert heard == [200]


# -- answers and errors ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 422])
def test_an_error_of_the_client_is_raised_at_once(
    client: EnhancedAPIClient, api_server: ApiServer, status: int
) -> None:
    api_server.route("/x", Reply(status, json={"why": "so"}))
    with pytest.raises(requests.HTTPError, match=rf"^{status} Client Error: ") as caught:
        client.get("/x")
    assert caught.value.response is not None
    assert caught.value.response.json() == {"why": "so"}
    assert caught.value.request is not None
    assert caught.value.request.url == api_server.url("/x")
    assert api_server.hits("/x") == 1
    assert figures(client, "total_requests", "failed_requests") == (1, 1)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 599])
def test_an_error_of_the_server_is_raised_after_all_attempts(
    client: EnhancedAPIClient, api_server: ApiServer, status: int
) -> None:
    api_server.route("/x", Reply(status, json={"why": "down"}))
    with pytest.raises(requests.HTTPError, match=rf"^{status} ") as caught:
        client.get("/x")
    assert caught.value.response is not None
    assert caught.value.response.json() == {"why": "down"}
    assert api_server.hits("/x") == 4
    assert figures(client, "total_requests", "failed_requests", "attempts") == (1, 1, 4)


def test_an_error_tells_when_to_come_back_and_no_secret(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(429, headers={"Retry-After": "3600"}))
    with (
        EnhancedAPIClient(api_server.base_url) as client,
        pytest.raises(requests.HTTPError) as caught,
    ):
        client.get("/x", params={"api_key": "hunter2", "page": 1})
    assert str(caught.value).endswith("/x?api_key=***&page=1; the server asks to wait 3600 s")
    assert "hunter2" not in str(caught.value)
    assert api_server.hits("/x") == 1  # an hour is too long


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        (Reply(204), None),
        (Reply(json={"a": 1}), {"a": 1}),
        (Reply(201, body="made"), "made"),
        (Reply(body=b"\x00\x01"), b"\x00\x01"),
        (Reply(body=b"\xef\xbb\xbf[1]", content_type="application/json"), [1]),
        (Reply(json=[1], chunked=True), [1]),
        (Reply(999, json={}), requests.HTTPError),
        (Reply(304), None),
        (Reply(301, headers={"Location": "/y"}, body="there"), "there"),
    ],
)
def test_an_answer_becomes_what_its_type_says(
    client: EnhancedAPIClient, api_server: ApiServer, reply: Reply, value: Any
) -> None:
    api_server.route("/x", reply)
    if value is requests.HTTPError:
        with pytest.raises(value):
            client.get("/x")
    else:
        assert client.get("/x", allow_redirects=False) == value


BROKEN = Reply(body=b'{"a": ', content_type="application/json")


def test_an_answer_that_is_not_json_is_a_failed_call(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.route("/x", BROKEN)
    with pytest.raises(requests.JSONDecodeError, match=r"^200 answer of .* is not JSON") as caught:
        client.get("/x")
    assert caught.value.response is not None
    assert caught.value.response.content == b'{"a": '
    assert api_server.hits("/x") == 1
    assert figures(client, "total_requests", "successful_requests", "failed_requests") == (1, 0, 1)
    assert client.get_circuit_breaker_status()["/x"]["failure_count"] == 0


@pytest.mark.parametrize("door", ["blocking", "awaited"])
def test_an_answer_that_is_not_json_is_not_kept(api_server: ApiServer, door: str) -> None:
    api_server.script("/x", BROKEN, Reply(json="whole"))

    async def awaited() -> list[Any]:
        async with aio.EnhancedAPIClient(api_server.base_url) as client:
            with pytest.raises(requests.JSONDecodeError):
                await client.get("/x")
            return [await client.get("/x"), await client.get("/x")]

    def blocking() -> list[Any]:
        with EnhancedAPIClient(api_server.base_url) as client:
            with pytest.raises(requests.JSONDecodeError):
                client.get("/x")
            return [client.get("/x"), client.get("/x")]

    assert (blocking() if door == "blocking" else asyncio.run(awaited())) == ["whole", "whole"]
    assert api_server.hits("/x") == 2


def test_answers_are_decoded_for_each_caller(client: EnhancedAPIClient) -> None:
    first = client.get("/x")
    first["path"] = "changed"
    assert client.get("/x")["path"] == "/x"
    assert figures(client, "cached_responses") == (1,)


def test_no_wrapper_hides_the_real_error(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(reset="before"))
    with (
        EnhancedAPIClient(api_server.base_url, retry_base_delay=0.001) as client,
        pytest.raises(requests.ConnectionError) as caught,
    ):
        client.get("/x")
    assert type(caught.value) is requests.ConnectionError
    assert api_server.hits("/x") == 4


def test_the_call_that_opens_a_circuit_without_retries_gets_its_own_error(
    api_server: ApiServer,
) -> None:
    api_server.route("/x", Reply(500))
    with EnhancedAPIClient(api_server.base_url, max_retries=0, failure_threshold=2) as client:
        for _ in range(2):
            with pytest.raises(requests.HTTPError):
                client.get("/x")
        with pytest.raises(CircuitOpenError) as caught:
            client.get("/x")
    assert caught.value.endpoint == "/x"
    assert 0 < caught.value.retry_after <= 60
    assert api_server.hits("/x") == 2


# -- idempotency ----------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["post", "patch"])
def test_a_key_is_the_same_for_all_attempts_of_one_call(
    client: EnhancedAPIClient, api_server: ApiServer, verb: str
) -> None:
    api_server.script("/x", Reply(503), Reply(reset="before"), Reply(json={}))
    getattr(client, verb)("/x", data={})
    keys = [asked.headers["Idempotency-Key"] for asked in api_server.requests]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert str(uuid.UUID(keys[0])) == keys[0]


def test_each_call_has_a_key_of_its_own(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    for _ in range(3):
        client.post("/x", data={"same": "body"})
    assert len({asked.headers["Idempotency-Key"] for asked in api_server.requests}) == 3


@pytest.mark.parametrize("name", ["Idempotency-Key", "idempotency-key", b"Idempotency-Key"])
def test_the_callers_own_key_is_kept(
    client: EnhancedAPIClient, api_server: ApiServer, name: Any
) -> None:
    client.post("/x", data={}, headers={name: "mine"})
    (asked,) = api_server.requests
    assert asked.headers.get_all("Idempotency-Key") == ["mine"]


def test_only_post_and_patch_have_a_key(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    for verb in ("get", "put", "delete", "head", "options"):
        getattr(client, verb)("/x")
    assert not any("Idempotency-Key" in asked.headers for asked in api_server.requests)


def test_without_keys_a_post_is_not_repeated(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(503))
    with (
        EnhancedAPIClient(api_server.base_url, idempotency_keys=False) as client,
        pytest.raises(requests.HTTPError),
    ):
        client.post("/x", data={})
    assert api_server.hits("/x") == 1


def test_a_body_that_cannot_be_sent_again_is_not(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.route("/x", Reply(503))
    with pytest.raises(requests.HTTPError):
        client.post("/x", data=iter([b"once"]))
    assert [asked.body for asked in api_server.requests] == [b"once"]


# -- secrets --------------------------------------------------------------------------------------

SECRETS = {
    "X-API-Key": "hunter2",
    "Authorization": "Bearer hunter2",
    "X-Auth-Token": "hunter2",
    "X-Session": "hunter2",
    "Cookie": "sid=hunter2",
}


def test_no_secret_follows_a_redirect_to_another_origin(api_server: ApiServer) -> None:
    with ApiServer(host="127.0.0.2") as other:
        api_server.route("/x", Reply(302, headers={"Location": other.url("/there")}))
        headers = {**SECRETS, "X-Plain": "kept"}
        with EnhancedAPIClient(api_server.base_url, headers=headers) as client:
            client.get("/x")
            client.get("/x", headers={"X-Own-Token": "hunter2"}, use_cache=False)
        assert other.hits("/there") == 2
        for asked in other.requests:
            assert asked.headers["X-Plain"] == "kept"
            assert "hunter2" not in str(asked.headers.pairs)
        for asked in api_server.requests:
            assert asked.headers["X-API-Key"] == "hunter2"


def test_secrets_stay_on_redirects_of_the_same_origin(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(302, headers={"Location": "/y"}))
    with EnhancedAPIClient(api_server.base_url, headers={"X-API-Key": "k"}) as client:
        assert client.get("/x")["headers"]["X-API-Key"] == "k"


def test_the_journal_tells_no_secret(
    api_server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    api_server.route("/x", Reply(503))
    logger = logging.getLogger("browseros_api")
    level = logger.level
    try:
        with (
            EnhancedAPIClient(
                api_server.base_url, headers=SECRETS, debug=True, retry_base_delay=0
            ) as client,
            pytest.raises(requests.HTTPError),
        ):
            client.get("/x", params={"token": "hunter2"})
    finally:
        logger.setLevel(level)
    assert "/x?token=***" in caplog.text
    assert "hunter2" not in caplog.text


# -- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        Reply(silent=True),
        Reply(json={}, drip_head=(1, 0.05)),
        Reply(body=b"x" * 60, drip=(1, 0.05)),
    ],
    ids=["silent", "slow head", "slow body"],
)
def test_timeout_bounds_an_attempt_to_its_last_byte(api_server: ApiServer, reply: Reply) -> None:
    api_server.route("/x", reply)
    options = {"timeout": 0.3, "max_retries": 1, "retry_base_delay": 0.001}
    with EnhancedAPIClient(api_server.base_url, **options) as client, pytest.raises(TimeoutError):
        client.get("/x")
    assert api_server.hits("/x") == 2


def test_a_timeout_of_a_call_may_be_longer_than_the_clients(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json="late", delay=0.6))
    with EnhancedAPIClient(api_server.base_url, timeout=0.2, max_retries=0) as client:
        with pytest.raises(ReadTimeout):
            client.get("/x")
        assert client.get("/x", timeout=20) == "late"
        assert client.get("/x", timeout=None, use_cache=False) == "late"
        assert client.get("/x", timeout=(5, 20), use_cache=False) == "late"


def test_a_timeout_of_a_call_bounds_its_attempts(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(body=b"x" * 60, drip=(1, 0.05)))
    with (
        EnhancedAPIClient(api_server.base_url, max_retries=0) as client,
        pytest.raises(TimeoutError),
    ):
        client.get("/x", timeout=0.3)


def test_a_deadline_bounds_the_whole_call(api_server: ApiServer) -> None:
    clock = FakeClock()
    api_server.route("/x", Reply(503))
    with (
        EnhancedAPIClient(api_server.base_url, clock=clock, sleep=clock.sleep) as client,
        pytest.raises(requests.HTTPError),
    ):
        client.get("/x", deadline=2.0)
    assert api_server.hits("/x") == 2  # the second delay would have passed it


def test_a_deadline_bounds_a_silent_server(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(silent=True))
    with (
        EnhancedAPIClient(api_server.base_url, deadline=0.3) as client,
        pytest.raises(DeadlineExceeded),
    ):
        client.get("/x")


# -- cache ----------------------------------------------------------------------------------------


def test_a_key_tells_what_is_kept(client: EnhancedAPIClient) -> None:
    key = client.cache_key("/x", params={"page": 1})
    assert key is not None
    assert len(key) == 64  # SHA-256
    assert client._get_cached(key) is None
    answer = client.get("/x", params={"page": 1})
    assert client._get_cached(key) == client.get_cached("/x", params={"page": 1}) == answer
    assert client.get_cached("/x", params={"page": 2}) is None
    assert client.get_cached("/x", params={"page": 1}, use_cache=False) is None
    assert client._get_cached(None) is client._get_cached("none such") is None
    assert client.cache_key("/x", headers={"Authorization": "a"}) != client.cache_key("/x")


def test_looking_into_the_cache_counts_nothing(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    client.get("/x")
    client.get_cached("/x")
    client.cache_key("/y")
    assert figures(client, "total_requests", "cached_responses", "in_flight_requests") == (1, 0, 0)
    assert api_server.hits() == 1


def test_another_ttl_wins_over_the_servers_which_wins_over_the_clients(
    api_server: ApiServer, fake_clock: FakeClock
) -> None:
    api_server.route("/said", Reply(json=1, headers={"Cache-Control": "max-age=10"}))
    api_server.route("/never", Reply(json=1, headers={"Cache-Control": "no-store"}))
    with EnhancedAPIClient(api_server.base_url, clock=fake_clock, cache_ttl=100) as client:

        def ask() -> list[int]:
            api_server.reset_counts()
            for path in ("/said", "/plain", "/never"):
                client.get(path)
            client.get("/own", cache_ttl=50)
            return [api_server.hits(path) for path in ("/said", "/plain", "/never", "/own")]

        assert ask() == [1, 1, 1, 1]
        fake_clock.tick(9)
        assert ask() == [0, 0, 1, 0]
        fake_clock.tick(2)
        assert ask() == [1, 0, 1, 0]
        fake_clock.tick(45)
        assert ask() == [1, 0, 1, 1]
        fake_clock.tick(45)
        assert ask() == [1, 1, 1, 0]


def test_a_change_is_seen_by_the_next_get(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json={}))
    client.get("/x")
    client.put("/x", data={})
    client.get("/x")
    assert api_server.hits("/x") == 3


# -- figures --------------------------------------------------------------------------------------


def test_figures_are_those_of_the_overview_and_more(client: EnhancedAPIClient) -> None:
    stats = client.get_stats()
    assert set(SPEC_KEYS) <= set(stats)
    assert all(stats[key] == 0 for key in SPEC_KEYS if key != "success_rate")
    assert stats["success_rate"] == 1.0


def test_calls_are_counted_by_how_they_end(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.script("/flaky", Reply(503), Reply(json={}))
    client.get("/x")
    client.get("/x")
    client.get("/flaky")
    with pytest.raises(requests.HTTPError):
        client.get("/status/404")
    names = ("total_requests", "successful_requests", "failed_requests", "cached_responses")
    assert figures(client, *names) == (4, 3, 1, 1)
    assert figures(client, "success_rate", "cache_size") == (0.75, 2)
    assert figures(client, "average_latency_ms")[0] > 0


def test_a_call_on_its_way_is_in_flight(
    client: EnhancedAPIClient, api_server: ApiServer, threads: ThreadPoolExecutor
) -> None:
    gate = threading.Event()
    api_server.route("/x", Reply(json={}, hold=gate))
    asked = threads.submit(client.get, "/x")
    wait_until(lambda: api_server.hits("/x") == 1)
    assert figures(client, "in_flight_requests", "total_requests") == (1, 1)
    gate.set()
    asked.result(10)
    assert figures(client, "in_flight_requests", "successful_requests") == (0, 1)


def test_status_names_endpoints_by_their_folded_path(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    for path in ("/users/1", "/users/2", "/teams"):
        client.get(path)
    status = client.get_circuit_breaker_status()
    assert set(status) == {"/users/{id}", "/teams"}
    assert all(one["state"] == "closed" for one in status.values())
    assert all(one["last_failure_time"] is None for one in status.values())


def test_a_breaker_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="circuit_breaker must be a CircuitBreaker, not 5"):
        EnhancedAPIClient("https://api.example.com", circuit_breaker=5)  # type: ignore[arg-type]


def test_a_breaker_lends_its_settings_to_every_endpoint(api_server: ApiServer) -> None:
    api_server.route("*", Reply(500))
    breaker = CircuitBreaker(failure_threshold=1)
    with EnhancedAPIClient(api_server.base_url, max_retries=0, circuit_breaker=breaker) as client:
        for path in ("/a", "/b"):
            with pytest.raises(requests.HTTPError):
                client.get(path)
            with pytest.raises(CircuitOpenError):
                client.get(path)
    assert api_server.hits() == 2


# -- submit ---------------------------------------------------------------------------------------


def test_a_submitted_call_comes_through_its_future(client: EnhancedAPIClient) -> None:
    futures = [client.submit("GET", f"/{number}") for number in range(20)]
    assert [one.result(10)["path"] for one in futures] == [f"/{number}" for number in range(20)]
    failed = client.submit("POST", "/status/404", data={"a": 1})
    assert isinstance(failed.exception(10), requests.HTTPError)


def test_what_is_wrong_with_a_submitted_call_is_raised_at_once(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    with pytest.raises(TypeError, match="data cannot be written as JSON"):
        client.submit("POST", "/x", data={"a": object()})
    with pytest.raises(TypeError, match="there is no option 'dta'"):
        client.submit("POST", "/x", dta={})
    assert figures(client, "total_requests") == (0,)
    assert api_server.hits() == 0


def test_a_submitted_body_is_that_of_the_moment(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    data = {"a": 1}
    future = client.submit("POST", "/x", data=data)
    data["a"] = 2
    future.result(10)
    assert api_server.requests[0].json() == {"a": 1}


def test_context_variables_travel_with_a_submitted_call(client: EnhancedAPIClient) -> None:
    user: ContextVar[str] = ContextVar("user")
    seen: list[str] = []
    client.session.hooks["response"].append(lambda response, **_: seen.append(user.get()))
    user.set("ada")
    client.submit("GET", "/x").result(10)
    assert seen == ["ada"]


def test_a_deadline_of_a_submitted_call_counts_from_its_submission(api_server: ApiServer) -> None:
    gate = threading.Event()
    api_server.route("/held", Reply(json={}, hold=gate))
    with EnhancedAPIClient(api_server.base_url, max_connections=1) as client:
        first = client.submit("GET", "/held")
        wait_until(lambda: api_server.hits("/held") == 1)
        late = client.submit("GET", "/x", deadline=0.05)
        threading.Timer(0.2, gate.set).start()
        assert isinstance(late.exception(10), DeadlineExceeded)
        first.result(10)
    assert api_server.hits("/x") == 0


def test_there_are_no_more_threads_than_connections(api_server: ApiServer) -> None:
    gate = threading.Event()
    api_server.route("*", Reply(json={}, hold=gate))
    with EnhancedAPIClient(api_server.base_url, max_connections=3) as client:
        futures = [client.submit("GET", f"/{number}") for number in range(10)]
        wait_until(lambda: api_server.active_requests == 3)
        gate.set()
        assert all(one.result(10) == {} for one in futures)
    assert api_server.peak_connections <= 3


def _own_threads() -> list[threading.Thread]:
    names = ("browseros_api_", "browseros_api-batch")
    return [one for one in threading.enumerate() if one.name.startswith(names)]


def test_threads_end_with_the_client(api_server: ApiServer) -> None:
    client = EnhancedAPIClient(api_server.base_url)
    assert _own_threads() == []
    client.submit("GET", "/x").result(10)
    assert _own_threads() != []
    client.close()
    wait_until(lambda: _own_threads() == [])


def test_threads_end_with_a_client_that_is_dropped(api_server: ApiServer) -> None:
    client = EnhancedAPIClient(api_server.base_url)
    client.submit("GET", "/x").result(10)
    del client
    gc.collect()
    wait_until(lambda: _own_threads() == [])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_threads_of_its_own(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    client.submit("GET", "/parent").result(10)
    child = os.fork()
    if child == 0:
        try:
            answer = client.submit("GET", "/child").result(10)
            os._exit(0 if answer["path"] == "/child" else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.submit("GET", "/again").result(10)["path"] == "/again"


# -- life -----------------------------------------------------------------------------------------

CALLS: list[Callable[[EnhancedAPIClient], Any]] = [
    lambda client: client.get("/x"),
    lambda client: client.get("/x", use_cache=False),
    lambda client: client.post("/x"),
    lambda client: client.put("/x"),
    lambda client: client.patch("/x"),
    lambda client: client.delete("/x"),
    lambda client: client.head("/x"),
    lambda client: client.options("/x"),
    lambda client: client.request("GET", "/x"),
    lambda client: client.submit("GET", "/x"),
    lambda client: client.get_many(["/x"]),
    lambda client: client.start(),
    lambda client: client.__enter__(),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_client_says_so(
    api_server: ApiServer, call: Callable[[EnhancedAPIClient], Any]
) -> None:
    with EnhancedAPIClient(api_server.base_url) as client:
        client.get("/x")
    before = client.get_stats()
    with pytest.raises(ClientClosed, match="closed"):
        call(client)
    assert client.get_stats() == before
    assert api_server.hits() == 1


def test_a_closed_client_still_tells_its_figures(client: EnhancedAPIClient) -> None:
    client.get("/x")
    client.close()
    assert figures(client, "total_requests") == (1,)
    assert client.get_circuit_breaker_status()["/x"]["state"] == "closed"
    client.clear_cache()
    assert figures(client, "cache_size") == (0,)


def test_closing_twice_is_closing(client: EnhancedAPIClient) -> None:
    client.submit("GET", "/x").result(10)
    client.close()
    client.close()


def test_closing_closes_connections(api_server: ApiServer) -> None:
    with EnhancedAPIClient(api_server.base_url) as client:
        client.get("/x")
        assert api_server.open_connections == 1
    wait_until(lambda: api_server.open_connections == 0)


def test_start_and_with_give_the_client(api_server: ApiServer) -> None:
    client = EnhancedAPIClient(api_server.base_url)
    assert client.start() is client
    with client as same:
        assert same is client


def test_an_error_in_the_with_block_comes_out_of_it(api_server: ApiServer) -> None:
    with pytest.raises(KeyError), EnhancedAPIClient(api_server.base_url) as client:
        raise KeyError
    with pytest.raises(ClientClosed):
        client.get("/x")


def test_closing_wakes_whoever_waits_for_the_next_attempt(
    api_server: ApiServer, threads: ThreadPoolExecutor
) -> None:
    asleep = threading.Event()
    api_server.route("/x", Reply(503))
    client = EnhancedAPIClient(
        api_server.base_url, retry_base_delay=30, on_retry=lambda *_: asleep.set()
    )
    leader = threads.submit(client.get, "/x")
    assert asleep.wait(10)
    follower = threads.submit(client.get, "/x")
    wait_until(lambda: figures(client, "in_flight_requests") == (2,))
    submitted = client.submit("GET", "/x")
    wait_until(lambda: figures(client, "in_flight_requests") == (3,))
    client.close()
    for one in (leader, follower, submitted):
        assert isinstance(one.exception(10), ClientClosed)
    assert figures(client, "in_flight_requests", "failed_requests") == (0, 3)
    assert api_server.hits("/x") == 1


def test_closing_cancels_what_has_not_begun(api_server: ApiServer) -> None:
    gate = threading.Event()
    api_server.route("*", Reply(json="landed", hold=gate))
    client = EnhancedAPIClient(api_server.base_url, max_connections=1)
    begun, waiting = client.submit("GET", "/a"), client.submit("GET", "/b")
    wait_until(lambda: api_server.hits() == 1)
    client.close()
    with pytest.raises(CancelledError):
        waiting.result(10)
    gate.set()
    assert begun.result(10) == "landed"
    assert api_server.hits() == 1


def test_a_client_shows_its_state(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    assert repr(client) == f"<EnhancedAPIClient [{api_server.base_url}: open]>"
    client.close()
    assert repr(client) == f"<EnhancedAPIClient [{api_server.base_url}: closed]>"


def test_a_client_travels_without_what_runs(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    client.session.headers["X-A"] = "b"
    client.submit("GET", "/x").result(10)
    with pickle.loads(pickle.dumps(client)) as copy:
        assert copy.get("/x")["headers"]["X-A"] == "b"
        assert copy.submit("GET", "/y").result(10)["path"] == "/y"
        assert figures(copy, "total_requests") == (2,)
    assert client.get("/z")["path"] == "/z"


def test_the_session_underneath_is_an_ordinary_one(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    assert isinstance(client.session, Session)
    client.session.cookies.set("sid", "1")
    client.session.params = {"tenant": "t"}
    client.session.mount(api_server.base_url, HTTPAdapter())
    answer = client.get("/x", params={"page": 1})
    assert answer["headers"]["Cookie"] == "sid=1"
    assert answer["query"] == {"tenant": ["t"], "page": ["1"]}
    assert client.session.get(api_server.url("/y")).json()["path"] == "/y"
    assert figures(client, "total_requests") == (2,)


def test_cookies_are_kept_from_call_to_call(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.route("/login", Reply(204, headers={"Set-Cookie": "sid=1; Path=/"}))
    client.post("/login", data={})
    assert client.get("/x")["headers"]["Cookie"] == "sid=1"


def test_many_threads_share_one_client(
    client: EnhancedAPIClient, api_server: ApiServer, threads: ThreadPoolExecutor
) -> None:
    def visit(number: int) -> str:
        answer: dict[str, str] = client.get(f"/{number % 20}", use_cache=number % 2 == 0)
        return answer["path"]

    assert list(threads.map(visit, range(200))) == [f"/{number % 20}" for number in range(200)]
    assert figures(client, "total_requests", "successful_requests") == (200, 200)


def test_a_handler_sees_one_whole_request(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    def handler(request: Received) -> Reply:
        return Reply(json={"doubled": request.json()["n"] * 2})

    api_server.route("/double", handler)
    assert client.post("/double", data={"n": 21}) == {"doubled": 42}
