"""The public names, used as a program would: this file is type-checked and never run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pybreaker
import requests

import browseros_api
import browseros_api as drop_in
from browseros.api import CircuitBreaker as BreakerOfOverview
from browseros.api import EnhancedAPIClient as ClientOfOverview
from browseros_api import (
    CircuitBreaker,
    CircuitOpenError,
    ClientClosed,
    EnhancedAPIClient,
    ResilienceMixin,
    Session,
    aio,
)
from browseros_api.errors import ConnectTimeout, DeadlineExceeded, PoolTimeout
from browseros_api.settings import Settings

__all__: list[str] = []

settings = Settings(timeout=(3.05, 27.0), max_connections=20, jitter="full", debug=True)
seconds: float = settings.cache_ttl
at_most: int | None = settings.max_connections_per_host


# -- the first door: Session ----------------------------------------------------------------------


def a_session_is_one_of_requests() -> requests.Session:
    with Session(max_retries=5, cache_mode="ttl", circuit_breaker=CircuitBreaker(10)) as session:
        response: requests.Response = session.get("https://api.example.com/users", timeout=5)
        session.request("GET", "https://api.example.com/", use_cache=False, deadline=10.0)
        session.request("POST", "https://api.example.com/", json={"a": 1}, cache_ttl=60.0)
        session.headers["X-A"] = "b"
        session.mount("https://", requests.adapters.HTTPAdapter())
        total: int = session.get_stats()["total_requests"]
        state: str = session.get_circuit_breaker_status()["/users"]["state"]
        session.clear_cache()
        print(response.json(), total, state)
        return session


class Mine(ResilienceMixin, requests.Session):
    """A session of somebody's own, made resilient."""

    def get_users(self) -> list[Any]:
        users: list[Any] = requests.Session.get(self, "https://api.example.com/users").json()
        return users


def functions_are_those_of_requests() -> int:
    response: requests.Response = drop_in.get("https://api.example.com/", params={"a": 1})
    drop_in.post("https://api.example.com/", json={"a": 1}, timeout=(3, 10))
    try:
        drop_in.head("https://api.example.com/").raise_for_status()
    except drop_in.HTTPError as error:
        return error.response.status_code if error.response is not None else 0
    with drop_in.session() as session:
        return session.get("https://api.example.com/").status_code + response.status_code


# -- the second door: the client, blocking --------------------------------------------------------


def a_client_blocks() -> Iterator[Any]:
    client = EnhancedAPIClient(
        base_url="https://api.example.com",
        timeout=30.0,
        max_connections=100,
        max_retries=3,
        retry_base_delay=1.0,
        retry_max_delay=32.0,
        cache_ttl=300.0,
        enable_deduplication=True,
        enable_circuit_breaker=True,
        headers={"X-API-Key": "k"},
        debug=False,
        pool_timeout=5.0,
    )
    with client as same:
        users: Any = same.get("/users", params={"page": 1}, use_cache=True, cache_ttl=60.0)
        same.post("/users", data={"name": "Ada"}, headers={"Idempotency-Key": "1"})
        same.put("/users/1", {"name": "Ada"})
        same.patch("/users/1", data=[1, 2])
        same.delete("/users/1")
        same.request(method="REPORT", endpoint="/users", json={"a": 1}, deadline=5.0)
        with same.deadline(10.0) as bound:
            left: float = bound.remaining()
        try:
            same.get("/users", deadline=min(left, 5.0))
        except DeadlineExceeded as error:
            spent: dict[str, float] = error.spent
            attempts: int = error.attempts
            print(spent, attempts)
        future: Future[Any] = same.submit("GET", "/users")
        key: str | None = same.cache_key("/users", params={"page": 1})
        known: Any = same.get_cached("/users")
        underneath: Session = same.session
        where: str = same.base_url
        print(users, future.result(), key, known, underneath, where)
        yield from same.get_many((f"/users/{n}" for n in range(10)), max_workers=4, ordered=False)
        yield from same.get_many(["/a", {"endpoint": "/b"}], on_error="return", progress=True)
        yield from same.get_many(["/a"], checkpoint=Path("run.jsonl"))
        yield from same.paginate("/users", items="data", prefetch=2)
        yield from same.paginate("/users", next="cursor:meta.next->after", max_pages=10)
        yield from same.paginate("/users", next=lambda page: page["next"], items=list)


class Api(EnhancedAPIClient):
    """A client of somebody's own keeps its type through ``with`` and ``start``."""

    def users(self) -> Any:
        return self.get("/users")


def a_subclass_stays_one() -> Any:
    with Api("https://api.example.com") as api:
        return api.start().users()


# -- the third door: the client, awaited ----------------------------------------------------------


async def a_client_is_awaited() -> AsyncIterator[Any]:
    async with aio.EnhancedAPIClient("https://api.example.com", max_retries=5) as client:
        users: Any = await client.get("/users", params={"page": 1}, cache_ttl=60.0)
        created: Any = await client.post("/users", data={"name": "Ada"})
        both: tuple[Any, Any] = await asyncio.gather(client.get("/a"), client.delete("/b"))
        await client.request("PATCH", "/users/1", data={"a": 1})
        async with client.deadline(10.0):
            await client.clear_cache()
        rate: float = client.get_stats()["success_rate"]
        blocking: EnhancedAPIClient = client.blocking
        print(users, created, both, rate, blocking)
        async for answer in client.get_many(f"/users/{number}" for number in range(10)):
            yield answer
        async for page in client.paginate("/users", next="url:next"):
            yield page


# -- the fourth door: the names of the overview ---------------------------------------------------


async def as_in_the_overview() -> Any:
    breaker: CircuitBreaker = BreakerOfOverview(
        failure_threshold=10, recovery_timeout=120.0, half_open_max_calls=5
    )
    client: aio.EnhancedAPIClient = ClientOfOverview(
        "https://api.example.com", circuit_breaker=breaker
    )
    await client.start()
    try:
        return await client.get("/users")
    finally:
        await client.close()


# -- errors ---------------------------------------------------------------------------------------


def told_apart(error: BaseException) -> float:
    """Errors are caught under the names that requests, pybreaker and asyncio have for them."""
    try:
        raise error
    except CircuitOpenError as rejected:
        as_network: requests.ConnectionError = rejected
        as_breaker: pybreaker.CircuitBreakerError = rejected
        return len(as_network.args) + len(as_breaker.args) + rejected.retry_after
    except PoolTimeout as waited:
        connecting: ConnectTimeout = waited
        as_builtin: TimeoutError = connecting
        return len(as_builtin.args)
    except DeadlineExceeded as late:
        as_timeout: requests.Timeout = late
        return len(as_timeout.args)
    except asyncio.TimeoutError:
        return 0.0
    except browseros_api.JSONDecodeError as broken:
        return float(broken.pos)
    except ClientClosed as closed:
        as_runtime: RuntimeError = closed
        return len(as_runtime.args)


def own_options_of_verbs(session: Session) -> None:
    session.get("https://a", params={"page": 1}, cache_ttl=60.0)
    session.post("https://a", {"a": 1}, None, deadline=1.0)
    session.put("https://a", data=b"x", deadline=1.0)
    session.patch("https://a", data=b"x", deadline=1.0)
    session.delete("https://a", deadline=1.0)
    session.head("https://a", use_cache=False)
    session.options("https://a", deadline=1.0)
