"""Laws of turns and their leases, without sessions: who holds one, and for how long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browseros_api import Settings
from browseros_api.journal import Journal
from browseros_api.policies import renewals
from browseros_api.policies.turns import Turns
from browseros_api.stores.entry import Store
from browseros_api.stores.opening import open_store
from browseros_api.stores.shelf import Turn
from browseros_api.testing import wait_until
from tests.flying import PATIENCE, Caller, Panic, Service, call_of, response

KEY = "5b0f"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    settings = Settings(store=f"sqlite:///{tmp_path}/answers.db", store_timeout=10.0)
    store = open_store(settings, clock=time.monotonic)
    yield store
    store.close()


def turns_of(store: Store, *, lease: float = 60.0, **options: Any) -> Turns:
    given = {"clock": time.monotonic, "sleep": time.sleep, "journal": Journal(enabled=False)}
    return Turns(store, lease=lease, **{**given, **options})


def asked(turns: Turns, service: Any, **fields: Any) -> Caller[Any]:
    return Caller(turns.take, call_of(KEY, cache_key=KEY, **fields), service)


def whose(store: Store) -> Turn:
    """What somebody who asks now is told; should he lead, he gives it back."""
    turn = store.lease(KEY, "who asks", seconds=60.0)
    if turn is Turn.LEAD:
        store.release(KEY, "who asks", is_kept=True)
    return turn


def test_a_turn_lasts_as_long_as_its_holder_asks(store: Store) -> None:
    service, lease = Service(), 1.5
    leader = asked(turns_of(store, lease=lease), service)
    question = service.question()
    until = time.monotonic() + 2 * lease
    while time.monotonic() < until:
        assert whose(store) is Turn.WAIT
        time.sleep(0.05)
    question.answer()
    assert leader.value.ok
    assert whose(store) is Turn.GO


def test_a_turn_that_nobody_renews_goes_to_another(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if its holder had been killed."""
    service = Service()
    monkeypatch.setattr(renewals.Renewals, "_renew", lambda *_: None)
    leader = asked(turns_of(store, lease=0.3), service)
    dead = service.question()
    successor = asked(turns_of(store), service)
    service.question().answer()
    assert successor.value.ok
    dead.answer()
    assert leader.value.ok
    assert whose(store) is Turn.GO, "in vain, says the successor; the dead has no say"


def test_a_turn_that_was_given_back_while_it_was_renewed_is_not_kept(store: Store) -> None:
    renewing, go = threading.Event(), threading.Event()

    class Slow:
        def lease(self, *given: Any, **options: Any) -> Turn:
            renewing.set()
            assert go.wait(PATIENCE)
            return store.lease(*given, **options)

        release = store.release

    ours = renewals.Renewals(Slow(), seconds=0.03)  # type: ignore[arg-type]
    with ours.of(KEY, "x"):
        assert renewing.wait(PATIENCE)
    go.set()
    wait_until(lambda: ours._thread is None, timeout=PATIENCE)
    assert whose(store) is Turn.LEAD


def test_the_thread_of_renewals_ends_and_begins_anew(store: Store) -> None:
    ours = renewals.Renewals(store, seconds=0.03)
    for _ in range(2):
        with ours.of(KEY, "x"):
            assert ours._thread is not None
        wait_until(lambda: ours._thread is None, timeout=PATIENCE)
    ours.reset_after_fork()
    assert ours._thread is None


def test_without_a_thread_a_turn_is_as_long_as_it_is(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    ours = renewals.Renewals(store, seconds=0.03)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        with ours.of(KEY, "x"):
            assert ours._thread is not None
            assert not ours._thread.is_alive()
    with ours.of(KEY, "x"):  # as soon as there may be one again
        assert ours._thread.is_alive()


def test_a_store_that_raises_ends_no_renewals() -> None:
    calls = threading.Semaphore(0)

    class Broken:
        def lease(self, *_: Any, **__: Any) -> Turn:
            calls.release()
            raise OSError("broken")

    ours = renewals.Renewals(Broken(), seconds=0.03)  # type: ignore[arg-type]
    with ours.of(KEY, "x"):
        assert all(calls.acquire(timeout=PATIENCE) for _ in range(2))


@pytest.mark.parametrize(
    ("outcome", "told"), [(response(), Turn.GO), (OSError(), Turn.GO), (Panic(), Turn.LEAD)]
)
def test_how_a_turn_ends_says_whether_to_wait_for_the_next(
    outcome: Any, told: Turn, store: Store
) -> None:
    service = Service()
    leader = asked(turns_of(store), service)
    question = service.question()
    if isinstance(outcome, BaseException):
        question.fail(outcome)
        assert leader.error is outcome
    else:
        question.answer(outcome)
        assert leader.value is outcome
    assert whose(store) is told


def test_pauses_grow_with_what_was_waited(store: Store) -> None:
    now, pauses = [0.0], []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    store.lease(KEY, "somebody", seconds=600.0)
    turns = turns_of(store, clock=lambda: now[0], sleep=sleep)
    assert asked(turns, lambda _: response(), patience=1.0).value.ok
    assert (pauses[0], max(pauses)) == (0.002, 0.1)
    assert sum(pauses) == pytest.approx(1.0)
    assert pauses[:-1] == sorted(pauses[:-1])
