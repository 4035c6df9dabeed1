"""Laws of the adaptive limit: it grows while all goes well, and shrinks when it is too much."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests

from browseros_api import AdaptiveLimit, BulkheadFull, ReadTimeout, Session
from browseros_api.errors import PoolTimeout
from browseros_api.pipeline import Call, Exchange
from browseros_api.policies.adaptive import Concurrency
from browseros_api.policies.waiting import Hall
from browseros_api.testing import ApiServer, FakeClock, Received, Reply, wait_until
from tests.flying import Caller

URL = "http://a.test/x"


def answer(status: int) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    return response


class Rig:
    """An adaptive limit, and what comes of exchanges that take as long as they are told."""

    def __init__(self, **terms: Any) -> None:
        self.clock = FakeClock()
        hall = Hall(clock=self.clock, sleep=None)
        self.policy = Concurrency(AdaptiveLimit(**terms), hall=hall, longest=None)

    @property
    def limit(self) -> float:
        ((_, host),) = self.policy._hosts.items()
        return float(host.slots.limit)

    def exchange(self) -> Exchange:
        return Exchange(requests.Request("GET", URL).prepare(), {}, Call("GET", URL))

    def ask(
        self, outcome: requests.Response | BaseException, seconds: float = 0.1, busy: int = 0
    ) -> None:
        """One exchange, while ``busy`` others are under way."""

        slots = self.policy._hosts.of("a.test").slots
        raised: list[BaseException] = []

        def proceed(_: Exchange) -> requests.Response:
            slots.holders.update(range(busy))
            self.clock.tick(seconds)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        try:
            self.policy.adapt(self.exchange(), proceed)
        except BaseException as error:
            raised.append(error)
        slots.holders.difference_update(range(busy))
        assert raised == [outcome] * isinstance(outcome, BaseException)


def test_good_answers_make_it_grow_by_one_a_round() -> None:
    rig = Rig(initial=10)
    for _ in range(10):
        rig.ask(answer(200), busy=9)
    assert rig.limit == pytest.approx(11, abs=0.06)


def test_it_does_not_grow_while_nobody_needs_it() -> None:
    rig = Rig(initial=10)
    for _ in range(100):
        rig.ask(answer(200), busy=3)
    assert rig.limit == 10


def test_it_never_grows_beyond_the_most() -> None:
    rig = Rig(initial=2, most=3)
    for _ in range(50):
        rig.ask(answer(200), busy=2)
    assert rig.limit == 3


@pytest.mark.parametrize("sign", [answer(429), answer(503), ReadTimeout("silence")], ids=repr)
def test_each_sign_of_too_much_makes_it_shrink(sign: Any) -> None:
    rig = Rig(initial=10, decrease=0.5)
    rig.ask(sign)
    assert rig.limit == 5
    rig.ask(sign)
    assert rig.limit == 2.5


@pytest.mark.parametrize(
    "other",
    [
        *(answer(500), answer(502)),
        *(requests.ConnectionError("refused"), PoolTimeout("our own"), KeyboardInterrupt()),
    ],
    ids=repr,
)
def test_what_says_nothing_of_its_load_changes_nothing(other: Any) -> None:
    rig = Rig(initial=10)
    rig.ask(other, busy=9)
    assert rig.limit == 10
    ((_, host),) = rig.policy._hosts.items()
    assert host.slots.in_use == 0


def test_it_never_shrinks_below_the_least() -> None:
    rig = Rig(initial=10, least=4)
    for _ in range(20):
        rig.ask(answer(503))
    assert rig.limit == 4


def test_what_was_under_way_together_counts_once() -> None:
    rig = Rig(initial=16, decrease=0.5)
    began = rig.clock()
    rig.ask(answer(200))
    ((_, host),) = rig.policy._hosts.items()
    rig.clock.tick(1.0)
    for _ in range(8):
        host.groaned(began, rig.clock())
    assert rig.limit == 8


def test_a_latency_far_above_that_of_good_days_makes_it_shrink() -> None:
    rig = Rig(initial=10, tolerance=3.0)
    for _ in range(20):
        rig.ask(answer(200), 0.1)
    rig.ask(answer(200), 0.9)  # one alone may be anything
    assert rig.limit == 10
    for _ in range(5):
        rig.ask(answer(200), 0.9)
    assert rig.limit < 8


def test_a_host_that_is_always_slow_is_not_overloaded() -> None:
    rig = Rig(initial=10)
    for _ in range(300):
        rig.ask(answer(200), 5.0)
    assert rig.limit == 10


def test_what_has_become_slower_for_good_is_got_used_to() -> None:
    rig = Rig(initial=10, least=2)
    for _ in range(20):
        rig.ask(answer(200), 0.1)
    for _ in range(300):
        rig.ask(answer(200), 1.0)
    before = rig.limit
    for _ in range(20):
        rig.ask(answer(200), 1.0, busy=9)
    assert rig.limit > before


# -- on a live server -----------------------------------------------------------------------------


class Frail:
    """Bears so many at once, and answers 503 to each one more."""

    def __init__(self, bears: int) -> None:
        self.bears, self.peak, self.groans = bears, 0, 0
        self._here = 0
        self._lock = threading.Lock()

    def __call__(self, request: Received) -> Reply:
        with self._lock:
            self._here += 1
            self.peak = max(self.peak, self._here)
            is_too_much = self._here > self.bears
            self.groans += is_too_much
        try:
            # Each holds its place for a while: the sleep is the work.
            return Reply(503) if is_too_much else self._work()
        finally:
            with self._lock:
                self._here -= 1

    def _work(self) -> Reply:
        threading.Event().wait(0.01)
        return Reply(200)


def load(server: ApiServer, frail: Frail, **settings: Any) -> dict[str, Any]:
    """16 threads, 20 calls each."""
    server.route("*", frail)
    with Session(
        enable_cache=False, enable_deduplication=False, enable_circuit_breaker=False,
        max_retries=0, **settings,
    ) as session:  # fmt: skip

        def work() -> None:
            for _ in range(20):
                session.get(server.url("/x"))

        for caller in [Caller(work) for _ in range(16)]:
            assert caller.value is None
        figures: dict[str, Any] = session.get_stats()["limits"]
        return figures


def test_a_server_is_asked_about_as_much_at_once_as_it_bears(api_server: ApiServer) -> None:
    frail = Frail(4)
    # Too many at first; what is left of them then is about what it bears.
    figures = load(api_server, frail, adaptive_limit=AdaptiveLimit(initial=16))
    (limit,) = figures["adaptive_limits"].values()
    assert 1 <= limit <= 8
    assert figures["adaptive_waits"] > 0
    careful, careless = frail.groans, Frail(4)
    load(api_server, careless)
    assert careful < careless.groans / 2


def test_a_host_that_bears_no_more_refuses_what_cannot_wait(
    api_server: ApiServer,
) -> None:
    opened = threading.Event()
    hold: Callable[[Received], Reply] = lambda _: (opened.wait(20), Reply(200))[1]  # noqa: E731
    api_server.route("/slow", hold)
    terms = AdaptiveLimit(initial=1, wait=False)
    with Session(adaptive_limit=terms, enable_cache=False, enable_deduplication=False) as session:
        slow = Caller(session.get, api_server.url("/slow"))
        wait_until(lambda: api_server.active_requests == 1)
        with pytest.raises(BulkheadFull) as caught:
            session.get(api_server.url("/x"))
        assert getattr(caught.value, "request_state") == "never-sent"  # noqa: B009
        assert str(caught.value).endswith("are under way, as many as it bears just now")
        opened.set()
        assert slow.value.ok
        assert session.get_stats()["limits"]["adaptive_refusals"] == 1


@pytest.mark.parametrize(
    "terms",
    [
        *({"least": 0}, {"least": 20}, {"initial": 200}, {"most": 1}),
        *({"decrease": 0}, {"decrease": 1}, {"tolerance": 0.5}, {"wait": "long"}),
    ],
)
def test_terms_that_make_no_sense_are_refused(terms: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^(least|initial|most|decr|toler|wait)"):
        AdaptiveLimit(**terms)
