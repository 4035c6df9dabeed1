"""Who adds credentials where we cannot see them shares answers with nobody."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from browseros_api import ResilienceMixin, Session
from browseros_api.testing import ApiServer, Received, Reply, wait_until
from tests.flying import Caller


class Preparing(requests.Session):
    tenant = ""

    def prepare_request(self, request: Any) -> Any:
        prepared = super().prepare_request(request)
        prepared.headers["X-Tenant"] = self.tenant
        return prepared


class Sending(requests.Session):
    tenant = ""

    def send(self, request: Any, **options: Any) -> Any:
        request.headers["X-Tenant"] = self.tenant
        return super().send(request, **options)


class Requesting(requests.Session):
    tenant = ""

    def request(self, method: Any, url: Any, **options: Any) -> Any:  # type: ignore[override]
        options["headers"] = {**(options.get("headers") or {}), "X-Tenant": self.tenant}
        return super().request(method, url, **options)


class Routing(requests.Session):
    def merge_environment_settings(self, *args: Any) -> Any:
        return super().merge_environment_settings(*args)  # a proxy of each tenant's own, say


class Behind(ResilienceMixin, Preparing):
    pass


class Sent(ResilienceMixin, Sending):
    pass


class Asked(ResilienceMixin, Requesting):
    pass


class Routed(ResilienceMixin, Routing):
    pass


class PreparedBefore(Session):
    """In front of the door instead of behind it."""

    tenant = ""

    def prepare_request(self, request: Any) -> Any:
        prepared = super().prepare_request(request)
        prepared.headers["X-Tenant"] = self.tenant
        return prepared


class SentBefore(Session):
    tenant = ""

    def send(self, request: Any, **options: Any) -> Any:
        request.headers["X-Tenant"] = self.tenant
        return super().send(request, **options)


class Grandchild(Sent):
    """A step further away."""


def who(request: Received) -> Reply:
    kept = {"Cache-Control": "private, max-age=60"}
    return Reply(json=request.headers.get("X-Tenant"), headers=kept)


@pytest.fixture(
    params=[Behind, Sent, Asked, PreparedBefore, SentBefore, Grandchild],
    ids=lambda kind: kind.__name__,
)
def session(request: pytest.FixtureRequest, api_server: ApiServer) -> Iterator[Any]:
    api_server.route("/me", who)
    with request.param(retry_base_delay=0.01) as session:
        yield session


def test_an_answer_is_not_kept_for_the_next_identity(session: Any, api_server: ApiServer) -> None:
    for name in ("alice", "bob", "alice"):
        session.tenant = name
        assert session.get(api_server.url("/me")).json() == name


def test_nobody_waits_for_the_answer_of_another_identity(
    session: Any, api_server: ApiServer
) -> None:
    go = threading.Event()
    api_server.route("/held", lambda request: Reply(json=request.headers["X-Tenant"], hold=go))
    try:
        callers = []
        for count, name in enumerate(("alice", "bob"), 1):
            session.tenant = name
            callers.append(Caller(session.get, api_server.url("/held")))
            wait_until(lambda at=count: api_server.hits("/held") == at)
    finally:
        go.set()
    assert [caller.value.json() for caller in callers] == ["alice", "bob"]


def test_its_calls_are_retried_all_the_same(session: Any, api_server: ApiServer) -> None:
    api_server.script("/flaky", Reply(503), who)
    session.tenant = "alice"
    assert session.get(api_server.url("/flaky")).json() == "alice"


def test_a_way_that_is_chosen_per_call_is_not_shared(api_server: ApiServer) -> None:
    api_server.route("/me", who)
    with Routed() as session:
        answers = [session.get(api_server.url("/me")) for _ in range(2)]
    assert [answer.from_cache for answer in answers] == [False, False]


# -- on a redirect -------------------------------------------------------------------------------


class Rebuilding(requests.Session):
    tenant = ""

    def rebuild_auth(self, prepared_request: Any, response: Any) -> None:
        super().rebuild_auth(prepared_request, response)
        prepared_request.headers["X-Tenant"] = self.tenant


class Resolving(requests.Session):
    tenant = ""

    def resolve_redirects(self, response: Any, request: Any, **options: Any) -> Any:
        request.headers["X-Tenant"] = self.tenant
        return super().resolve_redirects(response, request, **options)


@pytest.mark.parametrize("base", [Rebuilding, Resolving])
def test_who_is_somebody_only_after_a_redirect_shares_nothing_either(
    base: type, api_server: ApiServer
) -> None:
    api_server.route("/old", Reply(301, headers={"Location": "/me", "Cache-Control": "max-age=60"}))
    api_server.route("/me", who)
    with type("Resilient", (ResilienceMixin, base), {})() as session:
        for name in ("alice", "bob"):
            session.tenant = name
            assert session.get(api_server.url("/old")).json() == name


# -- in an adapter -------------------------------------------------------------------------------


class Stamping(HTTPAdapter):
    """``add_headers`` is requests' own place for such things."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        super().__init__()

    def add_headers(self, request: Any, **_: Any) -> None:
        request.headers["X-Tenant"] = self.tenant


def test_another_adapter_is_another_identity(api_server: ApiServer) -> None:
    api_server.route("/me", who)
    with Session() as session:
        for name in ("alice", "bob"):
            session.mount("http://", Stamping(name))
            assert session.get(api_server.url("/me")).json() == name


def test_an_adapter_that_changes_its_mind_shares_nothing(api_server: ApiServer) -> None:
    api_server.route("/me", who)
    adapter = Stamping("alice")
    with Session() as session:
        session.mount("http://", adapter)
        assert session.get(api_server.url("/me")).json() == "alice"
        adapter.tenant = "bob"
        assert session.get(api_server.url("/me")).json() == "bob"


def test_an_adapter_that_is_chosen_for_each_caller_is_no_other_callers(
    api_server: ApiServer,
) -> None:
    class Choosing(requests.Session):
        tenant = ""
        ways = {name: Stamping(name) for name in ("alice", "bob")}  # noqa: RUF012

        def get_adapter(self, url: Any) -> Any:
            return self.ways[self.tenant]

    class Resilient(ResilienceMixin, Choosing):
        pass

    api_server.route("/me", who)
    with Resilient() as session:
        for name in ("alice", "bob"):
            session.tenant = name
            assert session.get(api_server.url("/me")).json() == name
    for adapter in Choosing.ways.values():
        adapter.close()


def test_a_choice_in_front_of_ours_keeps_the_policies_where_it_asks_ours(
    api_server: ApiServer,
) -> None:
    class Watching(Session):
        def get_adapter(self, url: Any) -> Any:
            return super().get_adapter(url)

    api_server.script("/flaky", Reply(503), Reply(json=1))
    with Watching(retry_base_delay=0.01) as session:
        assert session.get(api_server.url("/flaky")).json() == 1


def test_a_choice_in_front_of_ours_is_no_other_callers_either(api_server: ApiServer) -> None:
    class Choosing(Session):
        tenant = ""
        ways = {name: Stamping(name) for name in ("alice", "bob")}  # noqa: RUF012

        def get_adapter(self, url: Any) -> Any:
            return self.ways[self.tenant]

    api_server.route("/me", who)
    with Choosing() as session:
        for name in ("alice", "bob"):
            session.tenant = name
            assert session.get(api_server.url("/me")).json() == name
    for adapter in Choosing.ways.values():
        adapter.close()
