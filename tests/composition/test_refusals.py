"""An open circuit refuses early, and never otherwise than it would have refused late."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from browseros_api import CircuitOpenError, EnhancedAPIClient, Session
from browseros_api.testing import ApiServer, FakeClock, Reply, wait_until
from tests.flying import PATIENCE, Caller, shows


class Ordinary(Session):
    """Takes the ordinary road, on which the guard of the exchange refuses."""

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        return super().prepare_request(request)


@pytest.fixture
def session(fake_clock: FakeClock) -> Iterator[Session]:
    with Session(cache_mode="ttl", max_retries=0, failure_threshold=1, clock=fake_clock) as made:
        yield made


def refusal(session: Session, *args: Any, **given: Any) -> CircuitOpenError:
    with pytest.raises(CircuitOpenError) as caught:
        session.request(*args, **given)
    return caught.value


def told(error: CircuitOpenError) -> Any:
    request = error.request
    assert request is not None
    sent = (request.method, request.url, [*request.headers.items()], request.body)
    return (
        str(error),
        error.endpoint,
        error.retry_after,
        repr(error.last_error),
        error.response,
        sent,
    )


@pytest.mark.parametrize(
    "given", [{}, {"params": {"page": 2}}, {"headers": {"X-A": "1"}}, {"cookies": {"c": "1"}}]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_it_tells_what_the_guard_of_the_exchange_would_tell(
    method: str, given: Any, api_server: ApiServer, fake_clock: FakeClock
) -> None:
    api_server.route("*", Reply(503))
    found = []
    for kind in (Session, Ordinary):
        with kind(max_retries=0, failure_threshold=1, clock=fake_clock) as session:
            session.request(method, api_server.url("/users/7"), **given)
            errors = [refusal(session, method, api_server.url("/users/8"), **given) for _ in "12"]
            stats = session.get_stats()
            figures = {name: stats[name] for name in ("rejected_requests", "attempts")}
            status = session.get_circuit_breaker_status()
        for one in status.values():
            del one["last_failure_time"]
        found.append(([told(error) for error in errors], figures, status))
    assert found[0] == found[1]
    assert api_server.hits() == 2


def test_it_prepares_nothing_and_asks_no_adapter(
    session: Session, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    api_server.route("/down", Reply(500))
    session.get(api_server.url("/down"))
    monkeypatch.setattr(session.engine.wire, "transmit", None)
    monkeypatch.setattr(session, "find_adapter", None)
    refusal(session, "GET", api_server.url("/down"))


def test_what_is_known_is_answered_all_the_same(session: Session, api_server: ApiServer) -> None:
    api_server.script("/users", Reply(json=[1]), Reply(500))
    url = api_server.url("/users")
    session.get(url)
    session.get(url, params={"page": 2})
    refusal(session, "GET", url, params={"page": 2})
    assert session.get(url).json() == [1]


def test_who_was_let_through_before_may_bring_the_answer(
    session: Session, api_server: ApiServer
) -> None:
    go = threading.Event()
    api_server.route("/users", Reply(json=[1], hold=go))
    url = api_server.url("/users")
    leader = Caller(session.get, url)
    wait_until(lambda: api_server.hits("/users") == 1, timeout=PATIENCE)
    session.engine.breakers.of(session.engine.breakers.endpoint_of("GET", url)).open()
    follower = Caller(session.get, url)
    shows(session.engine.flights, "1 in the air, 1 followers")
    refusal(session, "GET", url, params={"page": 2})  # nobody asks this
    go.set()
    assert leader.value.json() == follower.value.json() == [1]


def test_when_its_time_is_over_as_many_are_let_through_as_ever(
    api_server: ApiServer, fake_clock: FakeClock
) -> None:
    api_server.script("/users", Reply(500), Reply(json=[1]))
    options: dict[str, Any] = {"half_open_max_calls": 2, "recovery_timeout": 10}
    with Session(max_retries=0, failure_threshold=1, clock=fake_clock, **options) as session:
        url = api_server.url("/users")
        session.get(url)
        for _ in range(3):
            refusal(session, "GET", url)
        fake_clock.tick(10)
        (status,) = session.get_circuit_breaker_status().values()
        assert status["state"] == "half_open"
        for _ in range(2):
            assert session.get(url).status_code == 200
        (status,) = session.get_circuit_breaker_status().values()
        assert status["state"] == "closed"
        assert session.get_stats()["rejected_requests"] == 3


def test_a_name_of_the_users_own_is_asked_for_once(api_server: ApiServer) -> None:
    asked = []

    def key(method: str, url: str) -> str:
        asked.append(url)
        return "all"

    with EnhancedAPIClient(api_server.base_url, endpoint_key=key, max_retries=0) as client:
        client.session.engine.breakers.of("all").open()
        with pytest.raises(CircuitOpenError):
            client.get("/users")
    assert asked == [api_server.url("/users")]
