"""Laws of ``install``: requests is resilient where it stands, and stock again afterwards."""

from __future__ import annotations

import abc
import copy
import functools
import os
import pickle
import signal
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import requests
from requests import Session as StockSession
from requests import get as stock_get
from requests import request as stock_request

import browseros_api
from browseros_api import install, installing, uninstall
from browseros_api.testing import ApiServer, FakeClock, Reply

QUICK = {"retry_base_delay": 0.01}
FRESH = {"Cache-Control": "max-age=60"}


def standing() -> list[Any]:
    """What stands in requests under every name that could have been changed."""
    places = (requests, requests.sessions, requests.api)
    names = ("Session", "session", "request", "get", "post", "put", "patch", "delete", "head")
    return [getattr(place, name, None) for place in places for name in (*names, "options")]


STOCK = standing()


@pytest.fixture(autouse=True)
def _stock_before_and_after() -> Iterator[None]:
    assert standing() == STOCK
    yield
    assert standing() == STOCK


def is_resilient(session: object) -> bool:
    return isinstance(session, browseros_api.Session)


class Token(requests.Session):
    """A subclass of the stock class, as one that was imported before."""


# -- what is ours within ------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete", "head", "options"])
@pytest.mark.parametrize("place", [requests, requests.api], ids=["requests", "requests.api"])
def test_every_function_is_resilient_within_and_stock_afterwards(
    verb: str, place: Any, api_server: ApiServer
) -> None:
    api_server.script("/limited", Reply(429), Reply(json=[1]))  # 429 is asked again in any method
    with install(**QUICK):
        assert getattr(place, verb)(api_server.url("/limited")).status_code == 200
    assert api_server.hits("/limited") == 2
    api_server.script("/limited", Reply(429), Reply(json=[1]))
    assert getattr(place, verb)(api_server.url("/limited")).status_code == 429


@pytest.mark.parametrize("place", [requests, requests.api], ids=["requests", "requests.api"])
def test_request_itself_is_resilient_too(place: Any, api_server: ApiServer) -> None:
    api_server.script("/flaky", Reply(503), Reply(json=[1]))
    with install(**QUICK):
        assert place.request("GET", api_server.url("/flaky")).status_code == 200
        assert place.request(method="GET", url=api_server.url("/flaky")).json() == [1]


def test_every_way_to_make_a_session_makes_a_resilient_one() -> None:
    with install():
        made = [
            requests.Session(),
            requests.session(),
            requests.sessions.Session(),
            requests.sessions.session(),
        ]
        assert all(map(is_resilient, made))
        assert requests.Session is requests.sessions.Session
    assert type(requests.Session()) is type(requests.session()) is StockSession


def test_without_a_with_block_it_lasts_until_it_is_undone() -> None:
    install()
    try:
        assert is_resilient(requests.Session())
    finally:
        uninstall()
    assert not is_resilient(requests.Session())


def test_the_functions_share_connections_and_answers_but_no_cookies(api_server: ApiServer) -> None:
    api_server.route("/kept", Reply(json=[1], headers=FRESH))
    api_server.route("/login", Reply(json=[], headers={"Set-Cookie": "id=alice"}))
    with install():
        for _ in range(3):
            requests.get(api_server.url("/login"))
            assert requests.get(api_server.url("/kept")).json() == [1]
    assert api_server.hits("/kept") == 1
    assert api_server.connections == 1
    assert not any("Cookie" in request.headers for request in api_server.requests)


def test_idle_connections_of_the_functions_are_closed_in_the_end(api_server: ApiServer) -> None:
    with install():
        requests.get(api_server.url("/users"))
        assert api_server.open_connections == 1
    browseros_api.testing.wait_until(lambda: api_server.open_connections == 0)


# -- options --------------------------------------------------------------------------------------


def test_options_are_the_defaults_of_what_is_made_meanwhile(api_server: ApiServer) -> None:
    api_server.route("/down", Reply(503))
    clock = FakeClock()
    with install(max_retries=5, clock=clock, sleep=clock.sleep, enable_circuit_breaker=False):
        assert requests.Session().settings.max_retries == 5
        requests.get(api_server.url("/down"))
        assert api_server.hits("/down") == 6
        class_of_its_own = type("Own", (requests.Session,), {})
        assert class_of_its_own().settings.max_retries == 5
        assert requests.Session(max_retries=1).settings.max_retries == 1
    assert browseros_api.Session().settings.max_retries == 3


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"retries": 5}, TypeError, "no option 'retries'"),
        ({"max_retries": -1}, ValueError, "max_retries"),
        ({"max_retries": "5"}, TypeError, "max_retries"),
    ],
)
def test_a_wrong_option_is_refused_at_once_and_changes_nothing(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        install(**options)
    assert standing() == STOCK


# -- again, within, and in any order --------------------------------------------------------------


def test_installs_nest_and_the_latest_counts() -> None:
    with install(max_retries=5):
        with install(timeout=1.0):
            inner = requests.Session().settings
            assert (inner.max_retries, inner.timeout) == (3, 1.0)
        assert requests.Session().settings.max_retries == 5
        with install(max_retries=7):
            assert requests.Session().settings.max_retries == 7


def test_undoing_what_was_not_done_is_harmless() -> None:
    uninstall()
    with install():
        uninstall()
        assert standing() == STOCK
    uninstall()


def test_leaving_a_block_undoes_that_block_and_no_other() -> None:
    first = install(max_retries=5)
    second = install(max_retries=7)
    first.__exit__(None, None, None)
    assert requests.Session().settings.max_retries == 7
    third = install(max_retries=9)
    second.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert requests.Session().settings.max_retries == 9
    third.__exit__(None, None, None)
    assert standing() == STOCK


def test_two_threads_may_install_and_uninstall_at_any_time() -> None:
    both = threading.Barrier(2, timeout=10)
    wrong: list[object] = []

    def often(retries: int) -> None:
        both.wait()
        for _ in range(50):
            with install(max_retries=retries):
                session = requests.Session()
                if not is_resilient(session) or session.settings.max_retries not in (4, 5):
                    wrong.append(session)

    threads = [threading.Thread(target=often, args=(retries,)) for retries in (4, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert wrong == []


def test_it_is_there_for_every_thread(api_server: ApiServer) -> None:
    api_server.script("/flaky", Reply(503), Reply(json=[1]))
    answers = []
    with install(**QUICK):
        url = api_server.url("/flaky")
        thread = threading.Thread(target=lambda: answers.append(requests.get(url)))
        thread.start()
        thread.join(10)
    assert [answer.status_code for answer in answers] == [200]


def test_an_error_leaves_nothing_behind() -> None:
    with pytest.raises(KeyError), install():
        raise KeyError
    assert standing() == STOCK


def test_what_somebody_else_has_put_on_top_is_left_to_them(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (requests, requests.sessions):
        monkeypatch.setattr(place, "Session", StockSession)  # is put back in the end
    installation = install()
    theirs = type("Theirs", (requests.Session,), {})
    requests.Session = requests.sessions.Session = theirs
    assert type(requests.session()) is theirs
    installation.__exit__(None, None, None)
    assert requests.Session is requests.sessions.Session is theirs
    assert requests.get(api_server.url("/users")).status_code == 200


def test_the_functions_use_the_session_class_that_somebody_has_put_on_top(
    api_server: ApiServer,
) -> None:
    with install():

        class Tagged(requests.Session):
            def __init__(self) -> None:
                super().__init__()
                self.headers["X-Tag"] = "theirs"

        with (
            mock.patch.object(requests.sessions, "Session", Tagged),
            mock.patch.object(requests, "Session", Tagged),
        ):
            answer = requests.get(api_server.url("/users"))
    assert answer.json()["headers"]["X-Tag"] == "theirs"


def test_what_a_script_changes_in_the_class_is_gone_with_it(api_server: ApiServer) -> None:
    api_server.route("/slow", Reply(json=[], delay=10))
    with install(max_retries=0):
        patient = requests.Session.request
        hasty = functools.partialmethod(patient, timeout=0.05)
        requests.Session.request = hasty
        for ask in (requests.get, requests.Session().get):
            with pytest.raises(requests.Timeout):
                ask(api_server.url("/slow"))
    with install():
        assert requests.Session.request is patient


# -- names that were imported before, and meanwhile ------------------------------------------------


def test_classes_and_sessions_from_before_stay_stock() -> None:
    before = requests.Session()
    with install():
        assert type(before) is StockSession
        assert not is_resilient(StockSession())
        assert not is_resilient(Token())


def test_functions_that_were_imported_before_follow(api_server: ApiServer) -> None:
    # They look up their own names in requests when they are called.
    for ask in (stock_get, functools.partial(stock_request, "GET")):
        api_server.script("/flaky", Reply(503), Reply(json=[1]))
        with install(**QUICK):
            assert ask(api_server.url("/flaky")).status_code == 200
        api_server.script("/flaky", Reply(503), Reply(json=[1]))
        assert ask(api_server.url("/flaky")).status_code == 503


def test_a_function_that_was_imported_meanwhile_is_stock_afterwards(api_server: ApiServer) -> None:
    with install(**QUICK):
        from requests import request  # noqa: PLC0415
    assert request is not stock_request
    api_server.script("/flaky", Reply(503), Reply(json=[1]))
    assert request("GET", api_server.url("/flaky")).status_code == 503


def test_a_session_that_was_made_meanwhile_stays_resilient(api_server: ApiServer) -> None:
    api_server.script("/flaky", Reply(503), Reply(json=[1]))
    with install(**QUICK):
        session = requests.Session()
    assert session.get(api_server.url("/flaky")).status_code == 200
    session.close()


def test_our_own_doors_keep_their_own_defaults() -> None:
    with install(max_retries=9):
        assert browseros_api.Session().settings.max_retries == 3
        with browseros_api.EnhancedAPIClient("http://127.0.0.1:9") as client:
            assert client.session.settings.max_retries == 3


# -- subclasses, pickles, children -----------------------------------------------------------------


def test_a_subclass_that_is_defined_meanwhile_is_resilient(api_server: ApiServer) -> None:
    api_server.script("/flaky", Reply(503), Reply(json=[1]))
    with install(**QUICK):

        class MySession(requests.Session):
            def __init__(self, token: str) -> None:
                super().__init__()
                self.headers["Authorization"] = f"Bearer {token}"

        with MySession("abc") as session:
            assert session.get(api_server.url("/flaky")).status_code == 200
            answer = session.get(api_server.url("/echo"))
        assert isinstance(session, requests.Session)
        assert isinstance(session, StockSession)
    assert answer.json()["headers"]["Authorization"] == "Bearer abc"


def test_a_subclass_may_have_names_of_its_own_that_we_have_too(api_server: ApiServer) -> None:
    with install(**QUICK):

        class Billing(requests.Session):
            def __init__(self) -> None:
                self.settings = {"tenant": "acme"}
                super().__init__()
                self.engine = "a database"
                self.circuit_breaker = "their own"

        with Billing() as session:
            assert session.get(api_server.url("/users")).status_code == 200
            assert session.settings == {"tenant": "acme"}
            assert (session.engine, session.circuit_breaker) == ("a database", "their own")


def test_a_subclass_may_have_other_bases_and_their_metaclass() -> None:
    with install():

        class Base(requests.Session, abc.ABC):
            @abc.abstractmethod
            def login(self) -> None: ...

        class Mine(Base):
            def login(self) -> None:
                """Not abstract."""

        assert is_resilient(Mine())
        with pytest.raises(TypeError):
            Base()


def test_a_session_can_be_pickled_and_copied_with_its_settings(api_server: ApiServer) -> None:
    api_server.script("/flaky", Reply(503), Reply(json=[1]))
    with install(**QUICK):
        session = requests.Session()
        session.headers["X-Team"] = "blue"
        pickled = pickle.dumps(session)
        twins = [copy.copy(session), copy.deepcopy(session)]
        assert pickle.loads(pickle.dumps(requests.Session)) is requests.Session
    for twin in (pickle.loads(pickled), *twins):  # where nothing is installed
        assert is_resilient(twin)
        assert twin.headers["X-Team"] == "blue"
        assert twin.settings.retry_base_delay == 0.01
    assert twin.get(api_server.url("/flaky")).status_code == 200
    twin.close()


def test_requests_shows_itself_as_ever() -> None:
    stock = repr(requests.Session())
    with install():
        assert repr(requests.Session()).partition(" at ")[0] == stock.partition(" at ")[0]
        assert requests.get.__module__ == "requests.api"
        assert pickle.loads(pickle.dumps(requests.get)) is requests.get
        assert pickle.loads(pickle.dumps(requests.request)) is requests.request


def test_the_class_shows_what_mocking_libraries_look_for() -> None:
    with install():
        session, found = requests.Session(), object()
        original = requests.Session.get_adapter
        assert original(session, "http://x") is session.get_adapter("http://x")
        session.get_adapter = lambda url: found
        assert session.get_adapter("http://x") is found
        session.get_adapter = original.__get__(session)
        assert session.get_adapter("http://x") is session.adapters["http://"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_it_too_and_can_undo_it(api_server: ApiServer) -> None:
    api_server.script("/flaky", Reply(503), Reply(json=[1]))
    with install(**QUICK), installing._lock:  # as if another thread was just installing
        child = os.fork()
        if not child:
            status = 1
            signal.alarm(20)  # rather than to wait for ever
            try:
                is_fine = requests.get(api_server.url("/flaky"), timeout=10).status_code == 200
                uninstall()
                status = 0 if is_fine and requests.Session is StockSession else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_installation_tells_its_state() -> None:
    with install(max_retries=5) as installation:
        assert repr(installation) == "<Installation [max_retries | in place]>"
    assert repr(installation) == "<Installation [max_retries | removed]>"
