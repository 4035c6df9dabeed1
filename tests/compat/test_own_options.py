"""Options of ours are for us: no method of requests is ever called with one of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import requests.adapters
import requests.api
import requests.sessions

import browseros_api
from browseros_api import EnhancedAPIClient, ResilienceMixin, Session
from browseros_api.testing import ApiServer

OPTIONS: dict[str, Any] = {"use_cache": False, "cache_ttl": 5.0, "deadline": 20.0, "fallback": {}}
SETTINGS: dict[str, Any] = {
    "max_retries": 1,
    "cache_ttl": 60.0,
    "enable_cache": False,
    "fallback": None,
}
VERBS = ("get", "options", "head", "post", "put", "patch", "delete")
STOCK = {
    requests.Session: (
        *("__init__", "request", "prepare_request", "merge_environment_settings", "get_adapter"),
        "send",
    ),
    requests.sessions.SessionRedirectMixin: (
        *("resolve_redirects", "rebuild_auth", "rebuild_proxies", "rebuild_method"),
    ),
    requests.PreparedRequest: ("prepare",),
    requests.Request: ("__init__",),
    requests.adapters.HTTPAdapter: ("__init__", "send", "build_response", "proxy_manager_for"),
}


@pytest.fixture(autouse=True)
def _listen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look at every named argument that a method of requests is given, by anybody."""
    heard: list[str] = []
    wrong: list[tuple[str, str]] = []

    def listening(method: Callable[..., Any]) -> Callable[..., Any]:
        parameters = inspect.signature(method).parameters.values()
        known = {one.name for one in parameters}
        ours = {*OPTIONS, *SETTINGS}
        is_open = any(one.kind is one.VAR_KEYWORD for one in parameters)

        @functools.wraps(method)
        def hear(*args: Any, **named: Any) -> Any:
            unknown = {*named} - known
            heard.append(method.__name__)
            wrong.extend((method.__qualname__, name) for name in unknown & ours)
            assert is_open or not unknown
            return method(*args, **named)

        return hear

    for owner, methods in STOCK.items():
        for name in methods:
            monkeypatch.setattr(owner, name, listening(vars(owner)[name]))
    yield
    assert wrong == []
    assert {"__init__", "send", "prepare"} <= {*heard}


class Own(requests.Session):
    """Somebody's class, which knows what requests knows."""

    def __init__(self, tenant: str = "acme") -> None:
        super().__init__()
        self.tenant = tenant

    def request(self, method: str, url: str, **named: Any) -> Any:  # type: ignore[override]
        return super().request(method, url, **named)

    def send(self, request: requests.PreparedRequest, **named: Any) -> requests.Response:
        return super().send(request, **named)


class Resilient(ResilienceMixin, Own):
    pass


class InFront(Session):
    """One that only passes on what it is given."""

    def request(self, method: Any, url: Any, **named: Any) -> Any:  # type: ignore[override]
        return super().request(method, url, **named)


CLASSES = (Session, Resilient, InFront)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", CLASSES)
def test_verbs_of_sessions(kind: type[Session], verb: str, api_server: ApiServer) -> None:
    with kind() as session:
        assert getattr(session, verb)(api_server.url("/x"), **OPTIONS).ok
        assert session.request(verb, api_server.url("/x"), **OPTIONS).ok


@pytest.mark.parametrize("kind", CLASSES)
def test_settings_of_sessions(kind: type[Session], api_server: ApiServer) -> None:
    with kind(**SETTINGS) as session:
        assert session.get(api_server.url("/x")).ok
        assert session.settings.max_retries == 1


@pytest.mark.parametrize("verb", VERBS)
def test_functions_of_the_module(verb: str, api_server: ApiServer) -> None:
    assert getattr(browseros_api, verb)(api_server.url("/x"), **OPTIONS).ok
    assert browseros_api.request(verb, api_server.url("/x"), **OPTIONS).ok


@pytest.mark.parametrize("verb", VERBS)
def test_functions_and_sessions_that_are_installed(verb: str, api_server: ApiServer) -> None:
    with browseros_api.install(**SETTINGS):
        for home in (requests, requests.api):
            assert getattr(home, verb)(api_server.url("/x"), **OPTIONS).ok
            assert home.request(verb, api_server.url("/x"), **OPTIONS).ok  # type: ignore[attr-defined]
        for make in (requests.Session, requests.session, requests.sessions.Session):
            with make() as session:
                assert getattr(session, verb)(api_server.url("/x"), **OPTIONS).ok


@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete"])
def test_verbs_of_the_client(verb: str, api_server: ApiServer) -> None:
    with EnhancedAPIClient(api_server.base_url, **SETTINGS) as client:
        known = inspect.signature(getattr(client, verb)).parameters
        given = {name: value for name, value in OPTIONS.items() if name in known}
        getattr(client, verb)("/x", **given)
        client.request(verb, "/x", **OPTIONS)


@pytest.mark.parametrize("kind", CLASSES)
def test_what_is_sent_by_hand_has_a_deadline_and_nothing_else_of_ours(
    kind: type[Session], api_server: ApiServer
) -> None:
    with kind() as session:
        prepared = session.prepare_request(requests.Request("GET", api_server.url("/x")))
        assert session.send(prepared, deadline=20.0).ok
        for name in ("use_cache", "cache_ttl", "fallback"):
            with pytest.raises(TypeError, match=f"{name}.*neither kept nor shared"):
                session.send(prepared, **{name: OPTIONS[name]})
    assert api_server.hits() == 1
