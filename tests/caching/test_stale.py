"""Laws of what is stale: while it is asked for, and in need (RFC 9111, 4.2.4; RFC 5861)."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import requests

from browseros_api import CircuitOpenError, EnhancedAPIClient, aio
from browseros_api.policies import refresher
from browseros_api.policies.refresher import Refresher
from browseros_api.testing import FakeClock, Received, Reply, wait_until
from tests.caching.judging import HIT, MISS, Origin, Stage

WHILE = {"Cache-Control": "max-age=1, stale-while-revalidate=60", "ETag": '"x"'}


def refreshed(stage: Stage) -> bool:
    """Whether nothing is being asked in the background."""
    return not stage.session.engine.cache.refresher._keys


# -- while it is asked for -------------------------------------------------------------------------


def test_a_stale_answer_is_used_while_it_is_asked_about_in_the_background(stage: Stage) -> None:
    origin = stage.open(WHILE)
    stage.ask()
    stage.clock.tick(2)
    stale: Any = stage.ask()
    assert (stale.text, stale.from_cache, stale.stale, stale.headers["Age"]) == (
        "1", True, True, "2",
    )  # fmt: skip
    wait_until(lambda: len(origin.asked) == 2 and refreshed(stage))
    assert origin.asked[1].headers["If-None-Match"] == '"x"'
    assert "Cache-Control" not in origin.asked[1].headers
    fresh: Any = stage.ask()
    assert (fresh.from_cache, fresh.stale, fresh.headers["Age"]) == (True, False, "0")
    assert len(origin.asked) == 2


def test_the_next_reader_has_the_new_answer(stage: Stage) -> None:
    origin = stage.open(WHILE)
    origin._is_unchanged = lambda *_: False  # type: ignore[method-assign]
    stage.ask()
    stage.clock.tick(2)
    assert stage.ask().text == "1"
    wait_until(lambda: len(origin.asked) == 2 and refreshed(stage))
    assert stage.ask().text == "2"


def test_any_number_of_stale_hits_ask_once(stage: Stage) -> None:
    go = threading.Event()
    origin = stage.open(Reply(headers=WHILE), Reply(headers=WHILE, hold=go))
    origin._is_unchanged = lambda *_: False  # type: ignore[method-assign]
    stage.ask()
    stage.clock.tick(2)
    gate, said = threading.Barrier(16), []

    def read() -> None:
        gate.wait(10)
        said.extend(stage.ask().text for _ in range(10))

    crowd = [threading.Thread(target=read) for _ in range(16)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(20)
        assert not one.is_alive()
    assert said == ["1"] * 160
    wait_until(lambda: len(origin.asked) == 2)
    go.set()
    wait_until(lambda: refreshed(stage))
    assert stage.ask().text == "2"
    assert len(origin.asked) == 2


@pytest.mark.parametrize(
    ("control", "after", "expected"),
    [
        ("max-age=1, stale-while-revalidate=60", 61, HIT),
        ("max-age=1, stale-while-revalidate=60", 62, MISS),
        ("max-age=1, stale-while-revalidate=x", 2, MISS),
        ("max-age=1, stale-while-revalidate", 2, MISS),
        ("max-age=1, stale-while-revalidate=60, must-revalidate", 2, MISS),
        ("max-age=1, stale-while-revalidate=60, no-cache", 0, MISS),
        ("max-age=0, stale-while-revalidate=60", 0, HIT),
        ("stale-while-revalidate=60", 0, HIT),
    ],
)
def test_for_as_long_as_the_server_says(
    control: str, after: float, expected: str, stage: Stage
) -> None:
    origin = stage.open({"Cache-Control": control})
    stage.ask()
    stage.clock.tick(after)
    assert stage.ask().text == ("1" if expected == HIT else "2")
    wait_until(lambda: len(origin.asked) == 2 and refreshed(stage))


@pytest.mark.parametrize("demand", ["no-cache", "max-age=1", "max-age=900", "min-fresh=1"])
def test_not_for_those_who_want_it_fresh(demand: str, stage: Stage) -> None:
    origin = stage.open({"Cache-Control": "max-age=1, stale-while-revalidate=60"})
    stage.ask()
    stage.clock.tick(2)
    assert stage.ask({"Cache-Control": demand}).text == "2"
    assert len(origin.asked) == 2


def test_in_ttl_mode_nothing_is_used_while_it_is_asked_for(stage: Stage) -> None:
    ttl = Stage(stage.server, stage.clock, cache_mode="ttl")
    assert ttl.verdict(WHILE, after=2) == MISS


@pytest.mark.parametrize("failure", [Reply(503), Reply(body="x" * 100, truncate=50)])
def test_a_refresh_that_fails_leaves_the_answer_to_be_asked_for_again(
    failure: Reply, stage: Stage
) -> None:
    origin = stage.open(Reply(headers=WHILE), failure, Reply(headers=WHILE))
    origin._is_unchanged = lambda *_: False  # type: ignore[method-assign]
    stage.ask()
    stage.clock.tick(2)
    assert stage.ask().text == "1"
    wait_until(lambda: len(origin.asked) == 2 and refreshed(stage))
    assert stage.ask().text == "1"
    wait_until(lambda: len(origin.asked) == 3 and refreshed(stage))
    assert stage.ask().text == "3"
    assert stage.session.get_stats()["failed_requests"] == 0, "nobody's call has failed"


def test_a_refresh_says_what_the_call_said(stage: Stage) -> None:
    origin = stage.open({**WHILE, "Vary": "Foo"})
    for foo in "12":
        stage.ask({"Foo": foo}, auth=("alice", "pw"), cookies={"a": "b"})
    stage.clock.tick(2)
    stage.ask({"Foo": "1"}, auth=("alice", "pw"), cookies={"a": "b"})
    wait_until(lambda: len(origin.asked) == 3 and refreshed(stage))
    said = [
        {n: origin.asked[i].headers[n] for n in ("Foo", "Authorization", "Cookie")} for i in (0, 2)
    ]
    assert said[0] == said[1]


def test_looking_causes_no_refresh(stage: Stage) -> None:
    origin = Origin({**WHILE, "Content-Type": "application/json"})
    stage.server.route("/kept", origin)
    with EnhancedAPIClient(stage.server.base_url, cache_mode="rfc", clock=stage.clock) as client:
        client.get("/kept")
        stage.clock.tick(2)
        assert client.get_cached("/kept") == 1
        assert not client.session.engine.cache.refresher._keys
    assert len(origin.asked) == 1


def test_a_stale_answer_is_refreshed_for_those_who_await_it(
    stage: Stage, fake_clock: FakeClock
) -> None:
    origin = Origin({**WHILE, "Content-Type": "application/json"})
    stage.server.route("/awaited", origin)

    async def main() -> list[int]:
        options: dict[str, Any] = {"cache_mode": "rfc", "clock": fake_clock}
        async with aio.EnhancedAPIClient(stage.server.base_url, **options) as client:
            first = await client.get("/awaited")
            fake_clock.tick(2)
            second = await client.get("/awaited")
            await asyncio.to_thread(wait_until, lambda: len(origin.asked) == 2)
            return [first, second]

    assert asyncio.run(main()) == [1, 1]


# -- on few threads that go ------------------------------------------------------------------------


def test_one_job_a_key_at_a_time() -> None:
    go, done, pool = threading.Event(), [], Refresher()

    def job() -> None:
        assert go.wait(10)
        done.append(1)

    assert [pool.begin("a", job) for _ in range(5)] == [True, False, False, False, False]
    assert pool.begin("b", job) is True
    go.set()
    wait_until(lambda: len(done) == 2 and not pool._keys)
    assert pool.begin("a", job) is True
    wait_until(lambda: len(done) == 3)


def test_jobs_are_done_by_few_threads_that_are_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refresher, "_IDLE", 0.02)
    pool, gate, names = Refresher(), threading.Event(), set()

    def job() -> None:
        names.add(threading.current_thread().name + str(threading.get_ident()))
        assert threading.current_thread().daemon
        assert gate.wait(10)

    for number in range(50):
        assert pool.begin(str(number), job)
    gate.set()
    wait_until(lambda: not pool._keys)
    assert 1 <= len(names) <= 4
    wait_until(lambda: pool._threads == 0)
    assert pool.begin("again", job), "and come back"
    wait_until(lambda: not pool._keys)


def test_so_many_may_wait_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresher, "_MOST_WAITING", 2)
    pool, gate = Refresher(), threading.Event()
    begun = [pool.begin(str(number), lambda: gate.wait(10)) for number in range(30)]
    assert not all(begun)
    gate.set()
    wait_until(lambda: not pool._keys)


def test_a_job_that_raises_ends_no_thread_and_no_key() -> None:
    pool, done = Refresher(), threading.Event()

    def failing() -> None:
        raise SystemExit

    pool.begin("a", failing)
    wait_until(lambda: not pool._keys)
    assert pool.begin("a", done.set)
    assert done.wait(10)


def test_what_cannot_have_a_thread_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        pool = Refresher()
        assert pool.begin("a", lambda: None) is False
        assert (pool._threads, pool._keys, len(pool._waiting)) == (0, set(), 0)
    done = threading.Event()
    assert pool.begin("a", done.set) is True
    assert done.wait(10)


def test_a_closed_pool_begins_nothing_and_ends_its_threads() -> None:
    pool, gate, done = Refresher(), threading.Event(), []

    def job() -> None:
        gate.wait(10)
        done.append(1)

    for number in range(10):
        pool.begin(str(number), job)
    wait_until(lambda: len(pool._waiting) == 6)
    pool.close()
    gate.set()
    wait_until(lambda: pool._threads == 0)
    assert len(done) == 4, "what had begun"
    assert pool.begin("a", job) is False


def test_a_child_has_a_pool_of_its_own() -> None:
    pool, gate, done = Refresher(), threading.Event(), threading.Event()
    pool.begin("a", lambda: gate.wait(10))
    with pool._changed:
        pool.reset_after_fork()
    assert pool.begin("a", done.set)
    assert done.wait(10)
    gate.set()


def test_closing_a_client_does_not_wait_for_what_it_asks_in_the_background(stage: Stage) -> None:
    go = threading.Event()
    origin = Origin(Reply(headers=WHILE), Reply(headers=WHILE, hold=go))
    origin._is_unchanged = lambda *_: False  # type: ignore[method-assign]
    stage.server.route("/slow", origin)
    client = EnhancedAPIClient(stage.server.base_url, cache_mode="rfc", clock=stage.clock)
    client.get("/slow")
    stage.clock.tick(2)
    client.get("/slow")
    wait_until(lambda: len(origin.asked) == 2)
    client.close()  # a wait for the answer would end the test by its timeout
    assert not go.is_set()
    go.set()


# -- in need ---------------------------------------------------------------------------------------

IN_NEED = {"Cache-Control": "max-age=1, stale-if-error=60", "ETag": '"x"'}
TROUBLE: dict[str, Reply] = {
    "a reset": Reply(reset="before"),
    "a close": Reply(raw=b""),
    "no HTTP": Reply(raw=b"no HTTP at all\r\n\r\n"),
    "a body that is cut": Reply(body=b"x" * 100, truncate=50),
    "500": Reply(500),
    "502": Reply(502),
    "503": Reply(503, headers={"Retry-After": "9"}),
    "504": Reply(504),
    "599": Reply(599),
}


@pytest.fixture(params=TROUBLE)
def trouble(request: pytest.FixtureRequest) -> Reply:
    return TROUBLE[request.param]


def has_failed(stage: Stage, headers: dict[str, str] | None = None) -> bool:
    """Whether the call comes to what the server's trouble comes to."""
    try:
        return stage.ask(headers).status_code >= 500
    except requests.RequestException:
        return True


def test_what_is_stale_will_do_where_the_server_allows_it(trouble: Reply, stage: Stage) -> None:
    stage.open(Reply(headers=IN_NEED), trouble)
    stage.ask()
    stage.clock.tick(60)
    answer: Any = stage.ask()
    assert (answer.status_code, answer.text) == (200, "1")
    assert (answer.from_cache, answer.stale, answer.age) == (True, True, 60.0)
    stage.clock.tick(1.5)
    assert has_failed(stage), "its time is over"
    figures = stage.session.get_stats()
    assert (figures["stale_responses"], figures["cached_responses"]) == (1, 0)


@pytest.mark.parametrize("mode", ["rfc", "ttl"])
def test_or_where_the_session_is_told_so(mode: str, trouble: Reply, stage: Stage) -> None:
    one = Stage(stage.server, stage.clock, cache_mode=mode, stale_if_error=300.0)
    one.open({"Cache-Control": "max-age=60"}, trouble)
    one.ask()
    one.clock.tick(359)
    assert one.ask().text == "1"
    one.clock.tick(2)
    assert has_failed(one)


def test_or_where_the_caller_says_so(trouble: Reply, stage: Stage) -> None:
    stage.open({"Cache-Control": "max-age=60"}, trouble)
    stage.ask()
    stage.clock.tick(90)
    assert stage.ask({"Cache-Control": "stale-if-error=60"}).text == "1"
    assert has_failed(stage)
    assert has_failed(stage, {"Cache-Control": "stale-if-error=20"})


@pytest.mark.parametrize("control", ["max-age=1, must-revalidate", "max-age=1, no-cache"])
def test_but_never_where_the_server_forbids_it(control: str, trouble: Reply, stage: Stage) -> None:
    one = Stage(stage.server, stage.clock, stale_if_error=300.0)
    headers = {"Cache-Control": control + ", stale-if-error=60", "ETag": '"x"'}
    one.open(Reply(headers=headers), trouble)
    one.ask()
    one.clock.tick(2)
    assert has_failed(one)
    assert has_failed(one, {"Cache-Control": "stale-if-error=60"})


def test_nor_where_nobody_allows_it(trouble: Reply, stage: Stage) -> None:
    stage.open(Reply(headers={"Cache-Control": "max-age=1", "ETag": '"x"'}), trouble)
    stage.ask()
    stage.clock.tick(2)
    assert has_failed(stage)


def test_nor_for_those_who_want_the_origins_word(trouble: Reply, stage: Stage) -> None:
    stage.open(Reply(headers=IN_NEED), trouble)
    stage.ask()
    assert has_failed(stage, {"Cache-Control": "no-cache"})


def test_what_is_fresh_will_do_for_those_who_want_it_fresher(trouble: Reply, stage: Stage) -> None:
    stage.open({"Cache-Control": "max-age=60"}, trouble)
    stage.ask()
    stage.clock.tick(30)
    answer: Any = stage.ask({"Cache-Control": "max-age=10"})
    assert (answer.text, answer.stale) == ("1", False)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 429])
def test_what_the_server_means_is_no_trouble(status: int, stage: Stage) -> None:
    stage.open(Reply(headers=IN_NEED), Reply(status))
    stage.ask()
    stage.clock.tick(2)
    assert stage.ask().status_code == status


def test_a_certificate_that_is_not_trusted_is_not_passed_over(stage: Stage) -> None:
    stage.open(IN_NEED)
    stage.ask()
    stage.clock.tick(2)

    def refuse(*_: Any, **__: Any) -> Any:
        raise requests.exceptions.SSLError("certificate verify failed")

    stage.session.engine.adapter.send = refuse  # type: ignore[method-assign]
    with pytest.raises(requests.exceptions.SSLError):
        stage.ask()


def test_an_answer_that_was_trouble_itself_is_none_in_need(stage: Stage) -> None:
    first = Reply(503, headers={"Cache-Control": "max-age=1, stale-if-error=60"})
    stage.open(first, Reply(500))
    assert stage.ask().status_code == 503
    stage.clock.tick(2)
    assert stage.ask().status_code == 500


def test_retries_come_first(stage: Stage) -> None:
    patient = Stage(stage.server, stage.clock, max_retries=2, stale_if_error=600.0)
    origin = patient.open({"Cache-Control": "max-age=1"}, Reply(503))
    patient.ask()
    patient.clock.tick(2)
    answer: Any = patient.ask()
    assert (answer.text, answer.stale) == ("1", True)
    assert len(origin.asked) == 4


def test_an_open_circuit_gives_what_is_stale_without_asking(stage: Stage) -> None:
    options: dict[str, Any] = {"enable_circuit_breaker": True, "failure_threshold": 2}
    one = Stage(stage.server, stage.clock, stale_if_error=600.0, **options)
    origin = one.open({"Cache-Control": "max-age=1"}, Reply(503))
    one.ask()
    one.clock.tick(2)
    said = [one.ask().text for _ in range(5)]
    assert said == ["1"] * 5
    assert len(origin.asked) == 3, "two failures opened it"
    assert one.session.get_circuit_breaker_status()
    with pytest.raises(CircuitOpenError):
        one.ask({"Cache-Control": "no-cache"})


def test_a_deadline_that_passes_is_need_as_well(stage: Stage) -> None:
    go = threading.Event()
    origin = stage.open(Reply(headers=IN_NEED), Reply(hold=go))
    origin._is_unchanged = lambda *_: False  # type: ignore[method-assign]
    stage.ask()
    stage.clock.tick(2)
    answer: Any = stage.ask(timeout=0.2)
    go.set()
    assert (answer.text, answer.stale) == ("1", True)


def test_each_of_a_crowd_gets_what_it_may_have(stage: Stage) -> None:
    """The leader's failure is shared; what to do about it each decides by its own demands."""
    go = threading.Event()
    stage.open(Reply(headers=IN_NEED), Reply(503, hold=go))
    stage.ask()
    stage.clock.tick(2)
    statuses: dict[str, list[int]] = {"": [], "no-cache": []}

    def ask(control: str) -> None:
        headers = {"Cache-Control": control} if control else None
        statuses[control].append(stage.ask(headers).status_code)

    crowd = [threading.Thread(target=ask, args=(("", "no-cache")[n % 2],)) for n in range(8)]
    for one in crowd:
        one.start()
    wait_until(lambda: "7 followers" in repr(stage.session.engine.flights))
    go.set()
    for one in crowd:
        one.join(10)
        assert not one.is_alive()
    assert statuses == {"": [200] * 4, "no-cache": [503] * 4}


def test_those_who_await_get_it_too(stage: Stage, fake_clock: FakeClock) -> None:
    go = threading.Event()
    replies = [Reply(json=1), Reply(503, hold=go)]

    def answer(_: Received) -> Reply:
        return replies[0] if len(replies) == 1 else replies.pop(0)

    stage.server.route("/awaited", answer)

    async def main() -> list[int]:
        options: dict[str, Any] = {
            "stale_if_error": 600.0, "cache_ttl": 1.0, "max_retries": 0, "clock": fake_clock,
        }  # fmt: skip
        async with aio.EnhancedAPIClient(stage.server.base_url, **options) as client:
            await client.get("/awaited")
            fake_clock.tick(2)
            tasks = [asyncio.ensure_future(client.get("/awaited")) for _ in range(5)]
            flights = client.session.engine.flights
            await asyncio.to_thread(wait_until, lambda: "4 followers" in repr(flights))
            go.set()
            return list(await asyncio.gather(*tasks))

    assert asyncio.run(main()) == [1] * 5


def test_what_is_kept_for_need_goes_when_its_time_is_over(stage: Stage) -> None:
    one = Stage(stage.server, stage.clock, cache_mode="ttl", cache_ttl=10.0, stale_if_error=20.0)
    one.open({})
    one.ask()
    for seconds, kept in ((10, 1), (19, 1), (1, 0)):
        one.clock.tick(seconds)
        assert one.session.get_stats()["cache_size"] == kept
