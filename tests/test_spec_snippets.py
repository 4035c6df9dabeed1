"""Each reference snippet runs as it stands, awaited and blocking, and does what it is there for."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import browseros.api
import browseros_api
from browseros_api.testing import ApiServer, FakeClock, Reply, wait_until

SPEC = Path(__file__).resolve().parent / "spec"
HOSTS = ("https://api.example.com", "https://api.anthropic.com")
DOORS = {"awaited": ("overview.md", browseros.api), "blocking": ("blocking.md", browseros_api)}


def blocks(file: str) -> dict[str, str]:
    """The code under each heading, character by character."""
    text = (SPEC / file).read_text("utf-8")
    return dict(
        re.findall(r"^## ([^\n]+)\n\n```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    )


class Stage:
    """Where a snippet runs: a server, the names that it leaves undefined, and a clock."""

    def __init__(self, door: str, server: ApiServer, clock: FakeClock) -> None:
        file, package = DOORS[door]
        self.is_awaited = door == "awaited"
        self.server, self.clock = server, clock
        self._blocks = blocks(file)
        self._made: list[Any] = []
        # What the snippets cannot say: that time is to pass quickly.
        self.make = partial(self._client, package.EnhancedAPIClient)
        self.names: dict[str, Any] = {
            "__name__": "snippet", "EnhancedAPIClient": self.make, "asyncio": asyncio,
        }  # fmt: skip

    def _client(self, kind: Any, base_url: str, **options: Any) -> Any:
        timing = {"clock": self.clock, "sleep": self.clock.sleep}
        client = kind(base_url, **{**timing, **options})
        self._made.append(client)
        return client

    def with_client(self, **options: Any) -> Any:
        """A client of the server, under the name that the snippets have for it."""
        self.names["client"] = self.make(self.server.base_url, **options)
        return self.names["client"]

    def play(self, name: str) -> str:
        """Run a snippet; what it printed."""
        code = self._localised(self._blocks[name])
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if self.is_awaited else 0
        compiled = compile(code, name, "exec", flags=flags, dont_inherit=True)
        return self._printed(lambda: eval(compiled, self.names))

    def _localised(self, code: str) -> str:
        local = code
        for host in HOSTS:
            local = local.replace(host, self.server.base_url)
        for line, before in zip(local.splitlines(), code.splitlines(), strict=True):
            assert line == before or any(
                line.split(self.server.base_url) == before.split(host) for host in HOSTS
            )
        return local

    def _printed(self, act: Callable[[], Any]) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            self.done(act())
        return output.getvalue()

    def done(self, outcome: Any) -> Any:
        """What a call of either door comes to."""
        return asyncio.run(outcome) if inspect.iscoroutine(outcome) else outcome

    def call(self, function: str) -> Any:
        """Call a function that a snippet has defined."""
        return self.done(self.names[function]())

    def get(self, endpoint: str, **arguments: Any) -> Any:
        return self.done(self.names["client"].get(endpoint, **arguments))

    def fail(self, endpoint: str) -> BaseException:
        """Why ``get`` fails."""
        with pytest.raises(Exception) as caught:  # noqa: PT011  (the caller looks at it)
            self.get(endpoint)
        return caught.value

    def close(self) -> None:
        for client in self._made:
            self.done(client.close())


@pytest.fixture(params=sorted(DOORS))
def stage(
    request: pytest.FixtureRequest, api_server: ApiServer, fake_clock: FakeClock
) -> Iterator[Stage]:
    logger = logging.getLogger("browseros_api")
    level = logger.level
    stage = Stage(request.param, api_server, fake_clock)
    yield stage
    stage.close()
    logger.setLevel(level)


def test_every_snippet_has_a_twin_and_a_test() -> None:
    awaited, blocking = blocks("overview.md"), blocks("blocking.md")
    played = set(re.findall(r'\.play\("(.+?)"\)', Path(__file__).read_text("utf-8")))
    assert list(awaited) == list(blocking)
    assert set(awaited) == played
    assert len(awaited) == 26


def test_twins_differ_in_little_but_waiting() -> None:
    awaited, blocking = blocks("overview.md"), blocks("blocking.md")
    assert not any(re.search(r"\b(async|await|asyncio)\b", code) for code in blocking.values())
    same = [
        name for name, code in awaited.items()
        if re.sub(r"\basync |\bawait ", "", code) == blocking[name]
    ]  # fmt: skip
    assert len(same) >= 16


def test_import(stage: Stage) -> None:
    stage.play("import")
    kind = stage.names["EnhancedAPIClient"]
    assert kind is (browseros_api.aio if stage.is_awaited else browseros_api).EnhancedAPIClient


def test_basic_usage(stage: Stage) -> None:
    stage.server.route("/users", Reply(json=["Ada"]), method="GET")
    stage.server.route("/users", Reply(201, json={"id": 7}), method="POST")
    assert stage.play("basic usage") == "Users: ['Ada']\nCreated user: {'id': 7}\n"
    asked, created = stage.server.requests
    assert asked.query == {"page": ["1"]}
    assert created.json() == {"name": "John Doe", "email": "john@example.com"}
    assert created.headers["Content-Type"] == "application/json"
    wait_until(lambda: stage.server.open_connections == 0)


def test_advanced_configuration(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "browseros_api"):
        stage.play("advanced configuration")
        stage.call("advanced_example")
    (asked,) = stage.server.requests
    assert asked.path == "/v1/messages"
    assert asked.headers["X-API-Key"] == "your-api-key"
    assert "/v1/messages" in caplog.text
    assert "your-api-key" not in caplog.text
    wait_until(lambda: stage.server.open_connections == 0)


def test_a_get(stage: Stage) -> None:
    stage.with_client()
    stage.play("get")
    (asked,) = stage.server.requests
    assert (asked.method, asked.path) == ("GET", "/users")
    assert asked.query == {"page": ["1"], "limit": ["10"]}
    assert asked.headers["Custom-Header"] == "value"
    assert stage.names["response"]["path"] == "/users"


def test_a_ttl_of_a_get_is_its_own(stage: Stage) -> None:
    stage.with_client()
    stage.play("get")
    stage.clock.tick(599.0)
    stage.play("get")
    assert stage.server.hits() == 1
    stage.clock.tick(2.0)
    stage.play("get")
    assert stage.server.hits() == 2


def test_a_post(stage: Stage) -> None:
    stage.with_client()
    stage.play("post")
    stage.play("post")
    first, second = stage.server.requests
    assert (first.method, first.path) == ("POST", "/users")
    assert first.json() == {"name": "Jane Smith", "email": "jane@example.com"}
    assert first.headers["Custom-Header"] == "value"
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]


def test_a_put(stage: Stage) -> None:
    stage.with_client()
    stage.play("put")
    (asked,) = stage.server.requests
    assert (asked.method, asked.path, asked.json()) == ("PUT", "/users/123", {"name": "Jane Doe"})


def test_a_delete(stage: Stage) -> None:
    stage.server.route("/users/123", Reply(204))
    stage.with_client()
    stage.play("delete")
    (asked,) = stage.server.requests
    assert (asked.method, asked.path) == ("DELETE", "/users/123")
    assert stage.names["response"] is None


def test_any_method(stage: Stage) -> None:
    stage.with_client()
    stage.play("generic request")
    (asked,) = stage.server.requests
    assert (asked.method, asked.json()) == ("PATCH", {"status": "active"})


def test_cache_control(stage: Stage) -> None:
    client = stage.with_client()
    stage.play("cache control")
    assert stage.server.hits("/data") == 2  # asked, asked past the cache, known
    stats = client.get_stats()
    assert (stats["cached_responses"], stats["cache_size"]) == (1, 0)
    stage.get("/data")
    assert stage.server.hits("/data") == 3


def test_cache_statistics(stage: Stage) -> None:
    stage.with_client()
    assert [stage.get("/data") for _ in range(2)]
    assert stage.play("cache statistics") == "Cache hits: 1\nCache size: 1 entries\n"


def test_identical_calls_in_flight_are_one_request(stage: Stage) -> None:
    client, gate = stage.with_client(), threading.Event()
    stage.server.route("/expensive-endpoint", Reply(json={"n": [1]}, hold=gate))

    def open_gate() -> None:
        with contextlib.suppress(AssertionError):
            wait_until(lambda: client.get_stats()["in_flight_requests"] == 3)
        gate.set()

    opener = threading.Thread(target=open_gate)
    opener.start()
    stage.play("deduplication")
    opener.join(10)
    assert stage.server.hits("/expensive-endpoint") == 1
    assert client.get_stats()["deduplicated_requests"] == 2
    results = stage.names["results"]
    assert results == [{"n": [1]}] * 3
    results[0]["n"].append(2)
    assert results[1] == {"n": [1]}


def test_retries_as_configured(stage: Stage) -> None:
    # A breaker of the default kind would end it after the fifth failure.
    stage.names["EnhancedAPIClient"] = partial(stage.make, failure_threshold=6)
    stage.server.script("/flaky", Reply(503, repeat=5), Reply(json="there"))
    stage.play("retry configuration")
    assert stage.get("/flaky") == "there"
    assert stage.server.hits("/flaky") == 6
    for slept, exact in zip(stage.clock.slept, [2.0, 4.0, 8.0, 16.0, 32.0], strict=True):
        assert 0.9 * exact <= slept <= 1.1 * exact


def test_a_circuit_breaker_as_configured(stage: Stage) -> None:
    stage.server.route("/down", Reply(500))
    stage.play("circuit breaker configuration")
    breaker = stage.names["breaker"]
    client = stage.with_client(circuit_breaker=breaker, max_retries=0)
    for _ in range(10):
        assert "500" in str(stage.fail("/down"))
    assert client.get_circuit_breaker_status()["/down"]["state"] == "open"
    assert isinstance(stage.fail("/down"), browseros_api.CircuitOpenError)
    assert stage.server.hits("/down") == 10
    stage.clock.tick(119.0)
    assert client.get_circuit_breaker_status()["/down"]["state"] == "open"
    stage.clock.tick(1.5)
    stage.server.route("/down", Reply(json="up"))
    for _ in range(4):
        assert stage.get("/down", use_cache=False) == "up"
        assert client.get_circuit_breaker_status()["/down"]["state"] == "half_open"
    assert stage.get("/down", use_cache=False) == "up"
    assert client.get_circuit_breaker_status()["/down"]["state"] == "closed"
    assert breaker.failure_count == 0  # it lends its settings only


def test_circuit_breaker_monitoring(stage: Stage) -> None:
    stage.server.route("/down", Reply(500))
    client = stage.with_client(max_retries=0)
    before = time.time()
    for _ in range(5):
        stage.fail("/down")
    stage.get("/up")
    printed = stage.play("circuit breaker monitoring").splitlines()
    assert printed[:3] == ["Endpoint: /down", "  State: open", "  Failures: 5"]
    assert before - 1 <= float(printed[3].removeprefix("  Last failure: ")) <= time.time() + 1
    assert printed[4:] == [
        "Endpoint: /up", "  State: closed", "  Failures: 0", "  Last failure: None",
    ]  # fmt: skip
    assert {"state", "failure_count", "last_failure_time"} <= set(
        client.get_circuit_breaker_status()["/up"]
    )


def test_statistics(stage: Stage) -> None:
    def slow(_: object) -> Reply:
        stage.clock.tick(0.05)
        return Reply(json={})

    stage.server.route("/slow", slow)
    stage.server.route("/missing", Reply(404))
    stage.with_client()
    stage.get("/slow")
    stage.get("/slow")
    stage.fail("/missing")
    assert stage.play("statistics").splitlines() == [
        "Total requests: 3",
        "Successful: 2",
        "Failed: 1",
        "Success rate: 66.67%",
        "Cached responses: 1",
        "Deduplicated: 0",
        "Average latency: 25.00ms",
        "Cache size: 1 entries",
        "In-flight requests: 0",
    ]


def test_before_the_first_call_the_figures_are_good(stage: Stage) -> None:
    stage.with_client()
    printed = stage.play("statistics")
    assert "Total requests: 0\n" in printed
    assert "Success rate: 100.00%\n" in printed
    assert "Average latency: 0.00ms\n" in printed


def test_many_pages_at_once(stage: Stage) -> None:
    stage.play("many pages at once")
    pages = [answer["query"]["page"] for answer in stage.names["responses"]]
    assert pages == [[str(number)] for number in range(100)]
    assert stage.server.hits("/data") == 100
    assert stage.server.peak_connections <= 100
    wait_until(lambda: stage.server.open_connections == 0)


def test_a_language_model(stage: Stage) -> None:
    answer = {"content": [{"type": "text", "text": "Hello!"}]}
    stage.server.script("/v1/messages", Reply(529), Reply(json=answer), method="POST")
    assert stage.play("language model") == "Hello!\n"
    first, second = stage.server.requests
    assert first.headers["X-API-Key"] == second.headers["X-API-Key"] == "your-api-key"
    assert first.json() == second.json()
    assert second.json()["messages"] == [{"role": "user", "content": "Hello, Claude!"}]
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


def test_a_batch_of_pages(stage: Stage) -> None:
    stage.server.route("/users", lambda asked: Reply(json={"users": asked.query["page"]}))
    stage.play("batch of pages")
    assert stage.call("fetch_all_users") == [str(page) for page in range(1, 11)]


class _Enough(BaseException):
    """Ends what never ends."""


def test_monitoring_for_ever(stage: Stage) -> None:
    fresh = {"Cache-Control": "no-store"}
    stage.server.script(
        "/health", Reply(json="ok", headers=fresh), Reply(503, repeat=5),
        Reply(json="ok", headers=fresh),
    )  # fmt: skip
    rounds: list[float] = []

    def pause(seconds: float) -> None:
        rounds.append(seconds)
        stage.clock.tick(seconds)
        if len(rounds) == 6:
            raise _Enough

    async def pause_awaited(seconds: float) -> None:
        pause(seconds)

    stage.names["asyncio"] = _Like(asyncio, sleep=pause_awaited)
    stage.names["time"] = _Like(time, sleep=pause)
    stage.play("monitoring for ever")
    with contextlib.redirect_stdout(io.StringIO()) as output, pytest.raises(_Enough):
        stage.call("monitor_api_health")
    told = [
        "Success rate: 100.00%", "Avg latency", "Health check failed: 503", "Health check failed",
        "Health check failed", "Success rate", "Avg latency", "WARNING: /health is half_open",
    ]  # fmt: skip
    printed = output.getvalue().splitlines()
    assert all(line.startswith(start) for line, start in zip(printed, told, strict=False)), printed
    assert printed[8].startswith("Success rate")
    assert set(rounds) == {30}
    wait_until(lambda: stage.server.open_connections == 0)


@pytest.mark.parametrize("stage", ["awaited"], indirect=True)
def test_monitoring_for_ever_can_be_cancelled(stage: Stage) -> None:
    asked = asyncio.Event()

    async def pause(_: float) -> None:
        asked.set()
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.ensure_future(stage.names["monitor_api_health"]())
        await asyncio.wait_for(asked.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    stage.names["asyncio"] = _Like(asyncio, sleep=pause)
    stage.play("monitoring for ever")
    with contextlib.redirect_stdout(io.StringIO()):
        asyncio.run(main())
    wait_until(lambda: stage.server.open_connections == 0)


class _Like:
    """A module, but for some of its names."""

    def __init__(self, module: Any, **others: Any) -> None:
        self.__dict__.update(others)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


@pytest.mark.parametrize(
    ("reply", "awaited", "blocking"),
    [
        (Reply(json=1), "", ""),
        (Reply(silent=True), "Request timed out\n", "Request timed out\n"),
        (Reply(404), "Unexpected error: 404", "Request failed: 404"),
        (Reply(reset="before"), "Unexpected error: ", "Request failed: "),
    ],
    ids=["answer", "timeout", "status", "reset"],
)
def test_error_handling(stage: Stage, reply: Reply, awaited: str, blocking: str) -> None:
    if stage.is_awaited:
        pytest.importorskip("aiohttp")
    stage.server.route("/data", reply)
    stage.with_client(max_retries=0, timeout=0.2 if reply.silent else 20.0)
    printed = stage.play("error handling")
    assert printed.startswith(awaited if stage.is_awaited else blocking)
    assert stage.names.get("response") == (None if printed else 1)


def test_an_open_circuit_is_handled_like_any_error(stage: Stage) -> None:
    if stage.is_awaited:
        pytest.importorskip("aiohttp")
    stage.server.route("/data", Reply(500))
    stage.with_client(max_retries=0)
    for _ in range(5):
        stage.fail("/data")
    assert "circuit" in stage.play("error handling").lower()
    assert stage.server.hits("/data") == 5


def test_graceful_degradation(stage: Stage) -> None:
    stage.server.script("/data", Reply(json={"data": [1]}), Reply(400))
    stage.server.route("/yesterday", Reply(json={"data": [0]}))
    client = stage.with_client()
    stage.names["cache_key"] = client.cache_key("/yesterday")
    stage.play("graceful degradation")
    assert stage.call("fetch_with_fallback") == {"data": [1]}
    stage.done(client.clear_cache())
    assert stage.call("fetch_with_fallback") == {"data": [], "fallback": True}
    stage.get("/yesterday")
    assert stage.call("fetch_with_fallback") == {"data": [0]}


def test_context_managers(stage: Stage) -> None:
    stage.names["base_url"] = stage.server.base_url
    stage.play("context managers")
    assert stage.server.hits("/data") == 2
    wait_until(lambda: stage.server.open_connections == 0)


def test_timeouts(stage: Stage) -> None:
    stage.names["base_url"] = stage.server.base_url
    stage.play("timeouts")
    assert stage.server.hits() == 0
    assert stage.get("/data")["path"] == "/data"


def test_how_long_answers_are_kept(stage: Stage) -> None:
    stage.with_client()

    def asked_again_after(seconds: float) -> list[str]:
        stage.clock.tick(seconds)
        stage.server.reset_counts()
        stage.play("cache ttl")
        return [request.path for request in stage.server.requests]

    everything = ["/config", "/stock-prices", "/live-feed"]
    assert asked_again_after(0) == everything
    assert asked_again_after(9) == []
    assert asked_again_after(2) == ["/stock-prices"]
    assert asked_again_after(290) == ["/stock-prices", "/live-feed"]
    assert asked_again_after(3600) == everything


def test_breaker_health(stage: Stage) -> None:
    alerts: list[str] = []
    stage.names["send_alert"] = alerts.append
    stage.server.route("/down", Reply(500))
    stage.with_client(max_retries=0)
    stage.play("breaker health")
    stage.get("/up")
    stage.call("health_check")
    assert alerts == []
    for _ in range(5):
        stage.fail("/down")
    stage.call("health_check")
    assert alerts == ["/down circuit breaker OPEN"]


@pytest.mark.parametrize(
    ("seconds", "failures", "found"),
    [(0.5, 0, []), (2.0, 0, ["slow"]), (0.5, 1, ["failing"]), (2.0, 1, ["failing", "slow"])],
)
def test_review_of_statistics(
    stage: Stage, seconds: float, failures: int, found: list[str]
) -> None:
    def slow(_: object) -> Reply:
        stage.clock.tick(seconds)
        return Reply(json={})

    told: list[str] = []
    stage.names["investigate_failures"] = lambda: told.append("failing")
    stage.names["optimize_requests"] = lambda: told.append("slow")
    stage.server.route("/data", slow)
    stage.server.route("/missing", lambda _: (slow(_), Reply(404))[1])
    stage.with_client()
    stage.get("/data")
    for _ in range(failures):
        stage.fail("/missing")
    stage.play("review of statistics")
    assert told == found
