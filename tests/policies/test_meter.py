"""Laws of the figures: every call counts once, and everything adds up."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests

from browseros_api import EnhancedAPIClient, Session
from browseros_api.pipeline import Call
from browseros_api.policies.meter import Meter
from browseros_api.testing import ApiServer, FakeClock, Reply, wait_until

PROMISED = {
    "total_requests",
    "successful_requests",
    "failed_requests",
    "success_rate",
    "cached_responses",
    "deduplicated_requests",
    "average_latency_ms",
    "cache_size",
    "in_flight_requests",
}


@pytest.fixture
def meter(fake_clock: FakeClock) -> Meter:
    return Meter(clock=fake_clock)


def answer(status: int = 200) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    return response


def call(meter: Meter, end: Callable[[Call], Any] = lambda _: answer()) -> Any:
    return meter.time(Call("GET", "http://h/", attempts=1), end)


def raising(error: BaseException) -> Callable[[Call], Any]:
    def end(_: Call) -> Any:
        raise error

    return end


# -- names -----------------------------------------------------------------------------------------


def test_the_nine_promised_figures_are_there_before_the_first_call() -> None:
    with Session() as session, EnhancedAPIClient("http://127.0.0.1:1") as client:
        for figures in (session.get_stats(), client.get_stats()):
            assert figures.keys() >= PROMISED
            assert figures["success_rate"] == 1.0
            assert {figures[name] for name in PROMISED - {"success_rate"}} == {0}


def test_the_figures_fit_the_formats_that_people_print_them_in() -> None:
    with EnhancedAPIClient("http://127.0.0.1:1") as client:
        figures = client.get_stats()
    assert f"{figures['success_rate']:.2%}" == "100.00%"
    assert f"{figures['average_latency_ms']:.2f}ms" == "0.00ms"
    assert isinstance(figures["total_requests"], int)
    assert isinstance(figures["in_flight_requests"], int)


# -- how calls end ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "is_success"), [(200, 1), (302, 1), (399, 1), (400, 0), (503, 0)]
)
def test_an_answer_below_400_is_a_success(meter: Meter, status: int, is_success: int) -> None:
    assert call(meter, lambda _: answer(status)).status_code == status
    figures = meter.read()
    assert (figures["successful_requests"], figures["failed_requests"]) == (
        is_success,
        1 - is_success,
    )


@pytest.mark.parametrize(
    "error",
    [requests.ConnectionError(), ValueError(), KeyboardInterrupt(), SystemExit(), GeneratorExit()],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_any_kind_is_a_failure_and_leaves_nothing_in_flight(
    meter: Meter, error: BaseException
) -> None:
    with pytest.raises(type(error)):
        call(meter, raising(error))
    figures = meter.read()
    assert (figures["total_requests"], figures["failed_requests"]) == (1, 1)
    assert figures["in_flight_requests"] == 0


def test_a_call_counts_from_its_beginning_and_is_in_flight_to_its_end(meter: Meter) -> None:
    seen = []

    def end(_: Call) -> requests.Response:
        seen.append(meter.read())
        return answer()

    for _ in range(2):
        call(meter, end)
    for earlier, during in enumerate(seen):
        assert (during["total_requests"], during["in_flight_requests"]) == (earlier + 1, 1)
        assert during["success_rate"] == 1.0, "what has not ended has not failed"
    after = meter.read()
    assert (after["total_requests"], after["in_flight_requests"]) == (2, 0)


def test_the_success_rate_is_a_fraction_of_what_has_ended(meter: Meter) -> None:
    for status in (200, 200, 200, 500):
        call(meter, lambda _, status=status: answer(status))  # type: ignore[misc]
    assert meter.read()["success_rate"] == 0.75


def test_a_success_that_turns_out_useless_is_a_failure(meter: Meter) -> None:
    call(meter)
    meter.disappoint()
    figures = meter.read()
    assert (figures["successful_requests"], figures["failed_requests"]) == (0, 1)
    assert figures["in_flight_requests"] == 0


# -- how long they take ----------------------------------------------------------------------------


def taking(clock: FakeClock, seconds: float, **marks: bool) -> Callable[[Call], Any]:
    def end(one: Call) -> requests.Response:
        clock.tick(seconds)
        for name, value in marks.items():
            setattr(one, name, value)
        return answer()

    return end


def test_latency_is_of_calls_that_went_to_the_network(meter: Meter, fake_clock: FakeClock) -> None:
    call(meter, taking(fake_clock, 0.1))
    call(meter, taking(fake_clock, 0.3))
    call(meter, taking(fake_clock, 9.0, from_cache=True))
    call(meter, taking(fake_clock, 9.0, followed=True))
    figures = meter.read()
    assert figures["average_latency_ms"] == pytest.approx(200.0)
    assert (figures["cached_responses"], figures["deduplicated_requests"]) == (1, 1)
    assert figures["cache_hit_rate"] == 0.25


def test_percentiles_are_of_the_nearest_rank(meter: Meter, fake_clock: FakeClock) -> None:
    assert meter.read()["p99_latency_ms"] == 0.0
    for hundredths in range(1, 101):
        call(meter, taking(fake_clock, hundredths / 100))
    figures = meter.read()
    assert [figures[f"p{p}_latency_ms"] for p in (50, 95, 99)] == pytest.approx([500, 950, 990])


def test_a_call_that_began_elsewhere_is_timed_from_there(
    meter: Meter, fake_clock: FakeClock
) -> None:
    one = Call("GET", "http://h/", attempts=1)
    meter.begin(one)
    fake_clock.tick(2)
    meter.time(one, taking(fake_clock, 1))
    figures = meter.read()
    assert figures["total_requests"] == 1
    assert figures["average_latency_ms"] == pytest.approx(3000)


def test_the_latencies_remembered_are_bounded(meter: Meter, fake_clock: FakeClock) -> None:
    for _ in range(3000):
        call(meter, taking(fake_clock, 0.001))
    assert len(meter._latencies) == 1024
    assert meter.read()["average_latency_ms"] == pytest.approx(1.0)


# -- many at once ----------------------------------------------------------------------------------


def adds_up(figures: dict[str, Any]) -> bool:
    ended: int = figures["successful_requests"] + figures["failed_requests"]
    return bool(figures["total_requests"] == ended + figures["in_flight_requests"])


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns a thousand times as often as they do otherwise."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_the_figures_of_32_threads_add_up_at_every_instant(meter: Meter) -> None:
    gate, stop, wrong = threading.Barrier(33), threading.Event(), []
    outcomes = [lambda _: answer(), lambda _: answer(500), raising(ValueError())]

    def ask(number: int) -> None:
        gate.wait(5)
        for turn in range(100):
            with suppress(ValueError):
                call(meter, outcomes[(number + turn) % 3])

    def watch() -> None:
        gate.wait(5)
        while not stop.is_set():
            figures = meter.read()
            if not (adds_up(figures) and 0 <= figures["in_flight_requests"] <= 32):
                wrong.append(figures)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(32)]
    watcher = threading.Thread(target=watch)
    for thread in (*threads, watcher):
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    stop.set()
    watcher.join(5)
    assert not wrong
    figures = meter.read()
    assert figures["total_requests"] == 3200
    assert abs(figures["successful_requests"] * 3 - 3200) <= 3 * 32
    assert figures["successful_requests"] + figures["failed_requests"] == 3200
    assert figures["in_flight_requests"] == 0


def test_every_call_of_a_session_is_in_one_of_its_figures(api_server: ApiServer) -> None:
    """32 threads: hits, followers, failures and successes, all of them through the network."""
    api_server.route("/bad", Reply(404))
    gate = threading.Barrier(32)

    def ask(number: int, session: Session) -> None:
        gate.wait(5)
        for turn in range(6):
            path = ["/same", "/bad", f"/own/{number}/{turn}"][turn % 3]
            session.get(api_server.url(path))

    with Session(cache_mode="ttl") as session:
        threads = [threading.Thread(target=ask, args=(n, session)) for n in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        figures = session.get_stats()
    assert figures["total_requests"] == 192
    assert figures["failed_requests"] == 64
    assert figures["successful_requests"] == 128
    assert figures["in_flight_requests"] == 0
    spared = figures["cached_responses"] + figures["deduplicated_requests"]
    assert api_server.hits() == 192 - spared
    assert api_server.hits("/same") == 1
    assert figures["average_latency_ms"] > 0


# -- the gauge of a real session -------------------------------------------------------------------


def interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


ENDINGS: dict[str, tuple[Reply, dict[str, Any]]] = {
    "success": (Reply(json={}), {}),
    "a bad status": (Reply(500), {}),
    "a reset": (Reply(reset="before"), {}),
    "a timeout": (Reply(silent=True), {"timeout": 0.05}),
    "a deadline": (Reply(silent=True), {"deadline": 0.05}),
    "an interrupt": (Reply(json={}), {"hooks": {"response": interrupt}}),
    "bad input": (Reply(json={}), {"headers": {"A": "b\r\n"}}),
}


@pytest.mark.parametrize(("reply", "arguments"), ENDINGS.values(), ids=ENDINGS)
def test_nothing_is_in_flight_when_a_call_has_ended_however_it_did(
    reply: Reply, arguments: dict[str, Any], api_server: ApiServer
) -> None:
    api_server.route("/x", reply)
    with Session(max_retries=0) as session:
        for _ in range(2):
            with suppress(requests.RequestException, KeyboardInterrupt):
                session.get(api_server.url("/x"), **arguments)
        figures = session.get_stats()
    assert figures["total_requests"] == 2
    assert figures["in_flight_requests"] == 0
    assert adds_up(figures)


def test_what_is_in_flight_is_seen_while_it_is(api_server: ApiServer) -> None:
    go = threading.Event()
    api_server.route("/x", Reply(json={}, hold=go))
    with Session() as session:
        asking = threading.Thread(target=session.get, args=(api_server.url("/x"),))
        asking.start()
        wait_until(lambda: session.get_stats()["in_flight_requests"] == 1)
        go.set()
        asking.join(5)
        assert session.get_stats()["in_flight_requests"] == 0


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks on this system")
def test_what_was_in_flight_in_the_parent_is_not_in_a_child(
    api_server: ApiServer, pipe: tuple[int, int]
) -> None:
    go = threading.Event()
    api_server.route("/held", Reply(json={}, hold=go))
    with Session() as session:
        session.get(api_server.url("/x"))
        asking = threading.Thread(target=session.get, args=(api_server.url("/held"),))
        asking.start()
        wait_until(lambda: api_server.hits("/held") == 1)
        child = os.fork()
        if not child:
            try:
                figures = session.get_stats()
                told = f"{figures['total_requests']} {figures['in_flight_requests']}"
                os.write(pipe[1], told.encode())
            finally:  # a child must not go on with the tests of its parent
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert os.read(pipe[0], 100) == b"1 0"
        go.set()
        asking.join(5)
        assert session.get_stats()["total_requests"] == 2


def test_a_call_that_never_went_out_has_no_latency(meter: Meter, fake_clock: FakeClock) -> None:
    one = Call("GET", "http://h/")  # refused by an open circuit, or given up in a queue
    meter.begin(one)
    fake_clock.tick(2)
    meter.end(one, one.began or 0.0)
    assert meter.read()["average_latency_ms"] == 0.0
