"""Laws of the ways through a breaker: called, decorated, in a ``with`` statement; and awaited."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pybreaker
import pytest

from browseros_api.errors import CircuitOpenError
from browseros_api.policies.breakers import CircuitBreaker
from browseros_api.testing import FakeClock
from tests.policies.breaking import Boom, Diary, refused, succeed


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breaker(clock: FakeClock) -> CircuitBreaker:
    return CircuitBreaker(3, 60.0, 2, name="/users", clock=clock)


def test_as_a_decorator_it_guards_functions_and_methods(clock: FakeClock) -> None:
    breaker = CircuitBreaker(1, clock=clock)

    class Api:
        @breaker
        def fetch(self, path: str, *, page: int = 1) -> str:
            """Fetches."""
            if path == "/ill":
                raise Boom(path)
            return f"{path}?page={page}"

    assert Api().fetch("/users", page=2) == "/users?page=2"
    assert (Api.fetch.__name__, Api.fetch.__doc__) == ("fetch", "Fetches.")
    with pytest.raises(Boom):
        Api().fetch("/ill")
    with pytest.raises(CircuitOpenError):
        Api().fetch("/users")


def test_only_functions_can_be_decorated(breaker: CircuitBreaker) -> None:
    with pytest.raises(TypeError, match="decorates functions, not 5"):
        breaker(5)  # type: ignore[type-var]


def test_a_with_statement_counts_and_refuses(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        with pytest.raises(Boom), breaker:
            raise Boom
    ran = False
    with pytest.raises(CircuitOpenError), breaker:
        ran = True
    assert not ran
    breaker.close()
    with breaker:
        pass
    assert breaker.failure_count == 0


def test_with_statements_may_nest_and_overlap(clock: FakeClock) -> None:
    outer, inner = CircuitBreaker(2, clock=clock), CircuitBreaker(2, clock=clock)

    def overlapping(breaker: CircuitBreaker) -> Generator[None, None, None]:
        with breaker:
            yield

    with pytest.raises(Boom), outer, inner, outer:
        raise Boom
    assert (outer.state, inner.failure_count) == ("open", 1)
    outer.half_open()
    first, second = overlapping(outer), overlapping(outer)
    next(first)
    next(second)
    first.close()
    with pytest.raises(Boom):
        second.throw(Boom())
    assert outer.state == "open"


def test_with_statements_of_different_breakers_may_end_in_any_order() -> None:
    one, other = CircuitBreaker(5), CircuitBreaker(5)

    def within(breaker: CircuitBreaker) -> Generator[None, None, None]:
        with breaker:
            yield

    first, second = within(one), within(other)
    next(first)
    next(second)
    with pytest.raises(Boom):
        first.throw(Boom())
    assert (one.failure_count, other.failure_count) == (1, 0)
    with pytest.raises(Boom):
        second.throw(Boom())
    assert (one.failure_count, other.failure_count) == (1, 1)


def test_the_body_of_a_with_statement_may_settle_its_permit_itself(
    breaker: CircuitBreaker,
) -> None:
    with breaker as permit:
        breaker.settle(permit, Boom("told, not raised"))
    assert breaker.failure_count == 1


def test_arguments_of_any_name_reach_the_function(breaker: CircuitBreaker) -> None:
    def echo(**named: int) -> dict[str, int]:
        return named

    names = {"func": 1, "event": 2, "args": 3}
    assert breaker.call(echo, **names) == breaker(echo)(**names) == names


def test_pybreakers_own_names_for_the_forms_work(breaker: CircuitBreaker) -> None:
    with pytest.raises(Boom), breaker.calling():
        raise Boom
    assert breaker.call_async(lambda: 1) == 1
    assert breaker.fail_counter == 0
    assert isinstance(breaker, pybreaker.CircuitBreaker)


# -- awaited ---------------------------------------------------------------------------------------


async def ill(path: str = "/ill") -> str:
    """Fetches in vain."""
    await asyncio.sleep(0)
    raise Boom(path)


async def well(path: str = "/well") -> str:
    await asyncio.sleep(0)
    return path


def by_call(breaker: CircuitBreaker) -> Any:
    return breaker.call


def by_call_of_what_returns_an_awaitable(breaker: CircuitBreaker) -> Any:
    return lambda func: breaker.call(lambda *_: func())


def by_call_of_what_returns_a_task(breaker: CircuitBreaker) -> Any:
    return lambda func: breaker.call(lambda: asyncio.ensure_future(func()))


def by_call_of_a_partial(breaker: CircuitBreaker) -> Any:
    return lambda func: breaker.call(functools.partial(func))


def by_decorator(breaker: CircuitBreaker) -> Any:
    return lambda func: breaker(func)()


def by_with(breaker: CircuitBreaker) -> Any:
    async def within(func: Callable[[], Awaitable[str]]) -> str:
        async with breaker:
            return await func()

    return within


WAYS = [
    by_call,
    by_call_of_what_returns_an_awaitable,
    by_call_of_what_returns_a_task,
    by_call_of_a_partial,
    by_decorator,
    by_with,
]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_awaited_counts_when_it_ends(
    way: Callable[[CircuitBreaker], Any], breaker: CircuitBreaker, clock: FakeClock
) -> None:
    through = way(breaker)

    async def story() -> None:
        for expected in (1, 2, 3):
            with pytest.raises(Boom):
                await through(ill)
            assert breaker.failure_count == expected
        with pytest.raises(CircuitOpenError):
            await through(well)
        clock.tick(60)
        assert await through(well) == "/well"
        assert breaker.state == "half_open"
        assert await through(well) == "/well"
        assert breaker.state == "closed"

    asyncio.run(story())
    assert breaker.rejected_count == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_cancelled_await_counts_for_nothing_and_gives_its_permit_back(
    way: Callable[[CircuitBreaker], Any], breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """B18, B19"""
    through = way(breaker)
    breaker.half_open()

    async def story() -> None:
        begun = asyncio.Event()

        async def endless() -> str:
            begun.set()
            await asyncio.Event().wait()
            return "never"

        async def caller() -> None:
            await through(endless)

        for _ in range(5):
            begun.clear()
            task = asyncio.ensure_future(caller())
            await asyncio.wait_for(begun.wait(), 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (breaker.state, breaker.retry_after) == ("half_open", 0.0)
        assert breaker.success_counter == 0

    asyncio.run(story())
    succeed(breaker)
    succeed(breaker)
    assert breaker.state == "closed"


@pytest.mark.parametrize("way", WAYS)
def test_awaited_trials_are_limited_and_the_others_refused_at_once(
    way: Callable[[CircuitBreaker], Any], breaker: CircuitBreaker
) -> None:
    """B13"""
    through = way(breaker)
    breaker.half_open()

    async def story() -> None:
        gate = asyncio.Event()

        async def waiting() -> str:
            await gate.wait()
            return "through"

        async def caller() -> str:
            result: str = await through(waiting)
            return result

        tasks = [asyncio.ensure_future(caller()) for _ in range(10)]
        pending, refusals = set(tasks), []
        while len(pending) > 2:
            done, pending = await asyncio.wait(pending, timeout=5, return_when="FIRST_COMPLETED")
            refusals += [type(task.exception()) for task in done]
        assert refusals == [CircuitOpenError] * 8
        gate.set()
        assert await asyncio.gather(*pending) == ["through", "through"]

    asyncio.run(story())
    assert (breaker.state, breaker.rejected_count) == ("closed", 8)


def test_a_coroutine_function_is_admitted_when_it_is_awaited(breaker: CircuitBreaker) -> None:
    waiting = breaker.call(well)
    breaker.open()

    async def story() -> None:
        with pytest.raises(CircuitOpenError):
            await waiting

    asyncio.run(story())


def test_a_decorated_coroutine_function_is_one(breaker: CircuitBreaker) -> None:
    guarded = breaker(ill)
    assert inspect.iscoroutinefunction(guarded)
    assert (guarded.__name__, guarded.__doc__) == ("ill", "Fetches in vain.")


def test_results_that_are_awaited_are_judged_too() -> None:
    """B21"""
    breaker = CircuitBreaker(1, is_failure=lambda result: result == "/well")
    assert asyncio.run(breaker.call(well)) == "/well"
    assert breaker.state == "open"


def test_listeners_hear_of_awaited_calls() -> None:
    diary = Diary()
    breaker = CircuitBreaker(1, listeners=[diary])
    asyncio.run(breaker.call(well, "/users"))
    assert diary.events == ["before well('/users',){}", "success"]


def test_tasks_inside_of_one_breaker_keep_their_permits_apart(breaker: CircuitBreaker) -> None:
    breaker.half_open()

    async def story() -> None:
        inside, leave = [asyncio.Event(), asyncio.Event()], [asyncio.Event(), asyncio.Event()]

        async def stay(number: int) -> None:
            async with breaker:
                inside[number].set()
                await leave[number].wait()
                if number == 0:
                    raise asyncio.CancelledError

        first = asyncio.ensure_future(stay(0))
        await asyncio.wait_for(inside[0].wait(), 5)
        second = asyncio.ensure_future(stay(1))
        await asyncio.wait_for(inside[1].wait(), 5)
        refused(breaker)
        leave[0].set()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert breaker.success_counter == 0
        leave[1].set()
        await second
        assert breaker.success_counter == 1

    asyncio.run(story())


def test_a_task_started_inside_of_a_breaker_leaves_its_parents_permit_alone(
    breaker: CircuitBreaker,
) -> None:
    breaker.half_open()

    async def story() -> None:
        async with breaker:

            async def child() -> None:
                async with breaker:
                    pass

            await asyncio.ensure_future(child())
            assert breaker.success_counter == 1
        assert breaker.state == "closed"

    asyncio.run(story())
