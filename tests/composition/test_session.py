"""The drop-in door: what requests' users rely on, with every policy switched on."""

from __future__ import annotations

import copy
import os
import pickle
import threading
import time

import pytest
import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPDigestAuth

import browseros_api
from browseros_api import CircuitOpenError, DeadlineExceeded, Session
from browseros_api.testing import ApiServer, FakeClock, Received, Reply, wait_until

FRESH = {"Cache-Control": "max-age=60"}


@pytest.fixture
def session():
    with Session(retry_base_delay=0.01) as session:
        yield session


# -- responses, hooks, cookies ------------------------------------------------------------------


def test_an_answer_is_an_ordinary_response(session: Session, api_server: ApiServer) -> None:
    api_server.route("/users", Reply(json=[1, 2]))
    response = session.get(api_server.url("/users"))
    assert isinstance(response, requests.Response)
    assert response.json() == [1, 2]
    assert response.ok
    assert response.request.method == "GET"
    assert response.connection is not None


def test_a_kept_answer_says_so(session: Session, api_server: ApiServer) -> None:
    api_server.route("/users", Reply(json=[1], headers=FRESH))
    first, second = (session.get(api_server.url("/users")) for _ in range(2))
    assert (first.from_cache, second.from_cache) == (False, True)
    assert second.json() == [1]
    assert api_server.hits("/users") == 1


def test_session_hooks_hear_each_answer_of_each_caller_once(
    session: Session, api_server: ApiServer
) -> None:
    heard = []
    session.hooks["response"].append(lambda response, **kwargs: heard.append((response, kwargs)))
    api_server.route("/users", Reply(json=[1], headers=FRESH))
    answers = [session.get(api_server.url("/users")) for _ in range(3)]
    assert [response for response, _ in heard] == answers
    assert api_server.hits("/users") == 1
    assert all({"timeout", "verify", "proxies", "stream"} <= set(kwargs) for _, kwargs in heard)


def test_a_session_hook_may_replace_the_answer_and_does_not_change_what_is_kept(
    session: Session, api_server: ApiServer
) -> None:
    def shout(response: requests.Response, **_: object) -> requests.Response:
        response._content = response.content.upper()
        return response

    session.hooks["response"].append(shout)
    api_server.route("/word", Reply(body="abc", headers=FRESH))
    assert session.get(api_server.url("/word")).content == b"ABC"
    session.hooks["response"].clear()
    assert session.get(api_server.url("/word")).content == b"abc"
    assert api_server.hits("/word") == 1


def test_a_hook_of_the_call_hears_every_hop_and_nothing_is_shared(
    session: Session, api_server: ApiServer
) -> None:
    api_server.route("/old", Reply(status=302, headers={"Location": "/new"}))
    api_server.route("/new", Reply(body="here", headers=FRESH))
    heard: list[int] = []
    for _ in range(2):
        session.get(
            api_server.url("/old"),
            hooks={"response": lambda response, **_: heard.append(response.status_code)},
        )
    assert heard == [302, 200, 302, 200]
    assert api_server.hits("/new") == 2


def test_cookies_are_kept_and_sent(session: Session, api_server: ApiServer) -> None:
    api_server.route("/login", Reply(headers={"Set-Cookie": "sid=1; Path=/"}))
    session.get(api_server.url("/login"))
    sent = session.get(api_server.url("/echo")).json()["headers"]
    assert sent["Cookie"] == "sid=1"
    assert session.cookies.get("sid") == "1"


def test_elapsed_is_the_time_to_the_headers_of_the_last_attempt(
    session: Session, api_server: ApiServer
) -> None:
    api_server.script("/slow", Reply(status=503, delay=0.5), Reply(body=b"x" * 10, drip=(2, 0.2)))
    response = session.get(api_server.url("/slow"))
    assert response.status_code == 200
    assert response.elapsed.total_seconds() < 0.45  # neither the 0.5 before nor the dripping body


def test_elapsed_is_right_on_each_hop_of_a_redirect(
    session: Session, api_server: ApiServer
) -> None:
    api_server.route("/old", Reply(status=302, headers={"Location": "/new"}, delay=0.3))
    api_server.route("/new", Reply(body="here"))
    response = session.get(api_server.url("/old"))
    assert response.history[0].elapsed.total_seconds() >= 0.3
    assert response.elapsed.total_seconds() < 0.3


def test_digest_auth_works_through_the_engine(session: Session, api_server: ApiServer) -> None:
    challenge = 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'

    def guarded(received: Received) -> Reply:
        if received.headers.get("Authorization", "").startswith("Digest "):
            return Reply(json={"in": True})
        return Reply(status=401, headers={"WWW-Authenticate": challenge})

    api_server.route("/digest", guarded)
    response = session.get(api_server.url("/digest"), auth=HTTPDigestAuth("u", "p"))
    assert response.json() == {"in": True}
    assert [hop.status_code for hop in response.history] == [401]


def test_the_second_leg_of_digest_auth_is_retried_too(
    session: Session, api_server: ApiServer
) -> None:
    seen: list[bool] = []

    def guarded(received: Received) -> Reply:
        signed = "Authorization" in received.headers
        seen.append(signed)
        if not signed:
            return Reply(status=401, headers={"WWW-Authenticate": 'Digest realm="r", nonce="n"'})
        return Reply(status=503 if seen.count(True) < 3 else 200)

    api_server.route("/digest", guarded)
    response = session.get(api_server.url("/digest"), auth=HTTPDigestAuth("u", "p"))
    assert response.status_code == 200
    assert seen == [False, True, True, True]


# -- retries and redirects ----------------------------------------------------------------------


def test_only_the_hop_that_failed_is_repeated(session: Session, api_server: ApiServer) -> None:
    api_server.route("/order", Reply(status=303, headers={"Location": "/receipt"}), method="POST")
    api_server.script("/receipt", Reply(status=503), Reply(status=503), Reply(body="paid"))
    assert session.post(api_server.url("/order"), data={"a": 1}).text == "paid"
    assert (api_server.hits("/order"), api_server.hits("/receipt")) == (1, 3)


def test_a_post_is_not_repeated_on_a_server_error(session: Session, api_server: ApiServer) -> None:
    api_server.route("/order", Reply(status=503), method="POST")
    assert session.post(api_server.url("/order")).status_code == 503
    assert api_server.hits("/order") == 1
    assert "Idempotency-Key" not in api_server.requests[0].headers


def test_the_last_answer_is_returned_when_all_attempts_are_used_up(
    session: Session, api_server: ApiServer
) -> None:
    api_server.route("/down", Reply(status=500, json={"e": 500}))
    response = session.get(api_server.url("/down"))
    assert (response.status_code, response.json()) == (500, {"e": 500})
    assert api_server.hits("/down") == 4


def test_a_truncated_body_is_a_failed_attempt(session: Session, api_server: ApiServer) -> None:
    api_server.script("/cut", Reply(body=b"x" * 100, truncate=50), Reply(body=b"whole"))
    assert session.get(api_server.url("/cut")).content == b"whole"


def test_a_truncated_body_is_never_returned(session: Session, api_server: ApiServer) -> None:
    api_server.route("/cut", Reply(body=b"x" * 100, truncate=50))
    with pytest.raises(requests.exceptions.ChunkedEncodingError) as caught:
        session.get(api_server.url("/cut"))
    assert caught.value.request is not None
    assert api_server.hits("/cut") == 4


def test_a_redirect_loop_ends_as_in_requests(session: Session, api_server: ApiServer) -> None:
    api_server.route("/loop", Reply(status=302, headers={"Location": "/loop"}))
    with pytest.raises(requests.TooManyRedirects):
        session.get(api_server.url("/loop"))
    assert api_server.hits("/loop") == 31
    assert all(info["state"] == "closed" for info in session.get_circuit_breaker_status().values())


# -- the breaker --------------------------------------------------------------------------------


def test_an_endpoint_that_keeps_failing_is_left_alone(api_server: ApiServer) -> None:
    clock = FakeClock()
    with Session(max_retries=0, clock=clock, sleep=clock.sleep) as session:
        api_server.script("/down", *[Reply(status=500)] * 5, Reply(body="up"))
        for _ in range(5):
            assert session.get(api_server.url("/down")).status_code == 500
        with pytest.raises(CircuitOpenError) as caught:
            session.get(api_server.url("/down"))
        assert api_server.hits("/down") == 5
        assert isinstance(caught.value, requests.ConnectionError)
        assert session.get(api_server.url("/echo")).ok  # an endpoint of its own
        clock.tick(60.1)
        assert [session.get(api_server.url("/down")).text for _ in range(3)] == ["up"] * 3
        states = session.get_circuit_breaker_status()
        assert states[api_server.url("/down")]["state"] == "closed"


def test_the_call_that_opens_the_circuit_has_its_own_outcome_and_sleeps_no_more(
    api_server: ApiServer,
) -> None:
    clock = FakeClock()
    with Session(clock=clock, sleep=clock.sleep, failure_threshold=2) as session:
        api_server.route("/down", Reply(status=500))
        assert session.get(api_server.url("/down")).status_code == 500
        assert api_server.hits("/down") == 2
        assert len(clock.slept) == 1
        with pytest.raises(CircuitOpenError):
            session.get(api_server.url("/down"))
        assert len(clock.slept) == 1
        assert session.get_stats()["attempts"] == api_server.hits() == 2


def test_a_delay_that_outlasts_the_open_circuit_is_slept(api_server: ApiServer) -> None:
    clock = FakeClock()
    with Session(
        clock=clock, sleep=clock.sleep, failure_threshold=1, recovery_timeout=0.5
    ) as session:
        api_server.script("/down", Reply(status=500), Reply(body="up"))
        assert session.get(api_server.url("/down")).text == "up"


# -- time ---------------------------------------------------------------------------------------


def test_the_default_timeout_is_ten_and_thirty_seconds(api_server: ApiServer) -> None:
    told = []

    class Noting(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, **options: object) -> requests.Response:
            told.append(options["timeout"])
            return super().send(request, **options)

    with Session() as session:
        session.mount("http://", Noting())
        url = api_server.url("/echo")
        session.get(url)
        session.get(url, timeout=None)
        session.get(url, timeout=3)
        session.send(requests.Request("GET", url).prepare())
    assert told == [(10.0, 30.0), None, 3, (10.0, 30.0)]


def test_a_dripping_body_ends_at_the_deadline(api_server: ApiServer) -> None:
    api_server.route("/drip", Reply(body=b"x" * 1000, drip=(1, 0.1)))
    with Session() as session:
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded) as caught:
            session.get(api_server.url("/drip"), deadline=0.5)
        assert time.monotonic() - began < 3
        assert isinstance(caught.value, requests.Timeout)
        assert isinstance(caught.value, TimeoutError)


def test_a_delay_that_passes_the_deadline_is_not_slept(api_server: ApiServer) -> None:
    clock = FakeClock()
    with Session(clock=clock, sleep=clock.sleep) as session:
        api_server.route("/down", Reply(status=503, headers={"Retry-After": "20"}))
        assert session.get(api_server.url("/down"), deadline=5).status_code == 503
    assert clock.slept == []


def test_timeouts_are_timeout_errors_too(api_server: ApiServer) -> None:
    api_server.route("/silent", Reply(silent=True))
    with Session(max_retries=0) as session, pytest.raises(requests.ReadTimeout) as caught:
        session.get(api_server.url("/silent"), timeout=0.2)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.request is not None


# -- adapters, subclasses, sending by hand ------------------------------------------------------


def test_policies_stay_around_an_adapter_of_the_user(api_server: ApiServer) -> None:
    with Session(retry_base_delay=0.01) as session:
        own = HTTPAdapter()
        session.mount(api_server.base_url, own)
        assert session.get_adapter(api_server.url("/")) is own
        api_server.script("/flaky", Reply(status=503), Reply(body="ok"))
        assert session.get(api_server.url("/flaky")).text == "ok"
        assert session.get_stats()["rescued_requests"] == 1


def test_policies_stay_when_the_finder_of_adapters_is_replaced(api_server: ApiServer) -> None:
    # Mocking libraries set this name on the instance, and leave a bound method there.
    with Session(retry_base_delay=0.01) as session:
        before = session.get_adapter
        session.get_adapter = lambda url: HTTPAdapter()
        api_server.script("/flaky", Reply(status=503), Reply(body="ok"))
        assert session.get(api_server.url("/flaky")).text == "ok"
        session.get_adapter = before
        api_server.script("/flaky2", Reply(status=503), Reply(body="ok"))
        assert session.get(api_server.url("/flaky2")).text == "ok"
        del session.get_adapter
        assert session.get_adapter(api_server.url("/")) is session.engine.adapter


def test_what_is_sent_by_hand_is_retried_and_counted(
    session: Session, api_server: ApiServer
) -> None:
    api_server.script("/flaky", Reply(status=503), Reply(body="ok"))
    prepared = session.prepare_request(requests.Request("GET", api_server.url("/flaky")))
    assert session.send(prepared).text == "ok"
    figures = session.get_stats()
    assert (figures["total_requests"], figures["attempts"]) == (1, 2)


def test_a_subclass_that_changes_requests_on_their_way_shares_nothing(
    api_server: ApiServer,
) -> None:
    class Signing(Session):
        who = "alice"

        def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
            prepared = super().prepare_request(request)
            prepared.headers["X-User"] = self.who
            return prepared

    api_server.route("/me", lambda received: Reply(body=received.headers["X-User"], headers=FRESH))
    with Signing() as session:
        assert session.get(api_server.url("/me")).text == "alice"
        session.who = "bob"
        assert session.get(api_server.url("/me")).text == "bob"


def test_a_subclass_that_only_wraps_request_keeps_sharing(api_server: ApiServer) -> None:
    class Relative(Session):
        def request(self, method: str, url: str, **kwargs: object) -> requests.Response:
            return super().request(method, api_server.base_url + url, **kwargs)

    api_server.route("/users", Reply(json=[1], headers=FRESH))
    with Relative() as session:
        for _ in range(2):
            session.get("/users")
    assert api_server.hits("/users") == 1


def test_an_auth_object_of_the_user_is_asked_each_time(
    session: Session, api_server: ApiServer
) -> None:
    class Token(AuthBase):
        value = "a"

        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f"Bearer {self.value}"
            return request

    api_server.route(
        "/me", lambda received: Reply(body=received.headers["Authorization"], headers=FRESH)
    )
    session.auth = token = Token()
    assert session.get(api_server.url("/me")).text == "Bearer a"
    token.value = "b"
    assert session.get(api_server.url("/me")).text == "Bearer b"


# -- secrets ------------------------------------------------------------------------------------


def test_secrets_do_not_follow_a_redirect_to_another_origin(session: Session) -> None:
    with ApiServer() as here, ApiServer() as there:
        here.route("/go", Reply(status=302, headers={"Location": there.url("/echo")}))
        here.route("/stay", Reply(status=302, headers={"Location": "/echo"}))
        session.headers["X-API-Key"] = "k"
        secret = {"Authorization": "Bearer t", "X-Auth-Token": "t", "Cookie": "sid=1"}
        away = session.get(here.url("/go"), headers={**secret, "X-Plain": "p"}).json()["headers"]
        assert not {"X-API-Key", "Authorization", "X-Auth-Token", "Cookie"} & set(away)
        assert away["X-Plain"] == "p"
        home = session.get(here.url("/stay"), headers=secret).json()["headers"]
        assert {"X-API-Key", "Authorization", "X-Auth-Token"} <= set(home)


# -- life ---------------------------------------------------------------------------------------


def test_a_closed_session_may_be_used_again(session: Session, api_server: ApiServer) -> None:
    assert session.get(api_server.url("/echo?1")).ok
    session.close()
    session.close()
    wait_until(lambda: api_server.open_connections == 0)
    assert session.get(api_server.url("/echo?2")).ok


@pytest.mark.parametrize("copied", [copy.copy, lambda one: pickle.loads(pickle.dumps(one))])
def test_settings_travel_and_what_runs_does_not(copied, api_server: ApiServer) -> None:
    with Session(max_retries=1, retry_base_delay=0.01) as session:
        session.headers["X-Team"] = "a"
        session.get(api_server.url("/echo"))
        with copied(session) as twin:
            assert twin.settings == session.settings
            assert twin.engine is not session.engine
            assert twin.get_stats()["total_requests"] == 0
            api_server.route("/down", Reply(status=500))
            assert twin.get(api_server.url("/down")).request.headers["X-Team"] == "a"
            assert api_server.hits("/down") == 2
            assert twin.get_adapter(api_server.url("/")) is twin.engine.adapter


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_process_starts_afresh_while_the_parent_is_in_mid_call(
    session: Session, api_server: ApiServer
) -> None:
    api_server.route("/known", Reply(body="k", headers=FRESH))
    session.get(api_server.url("/known"))
    go = threading.Event()
    api_server.route("/held", Reply(body="held", hold=go))
    thread = threading.Thread(target=session.get, args=(api_server.url("/held"),))
    thread.start()
    wait_until(lambda: api_server.active_requests == 1)
    child = os.fork()
    if child == 0:
        try:
            is_well = session.get(api_server.url("/echo"), timeout=10).ok
            os._exit(0 if is_well and session.engine.flights.__len__() == 0 else 1)
        except BaseException:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    go.set()
    thread.join(10)
    assert session.get(api_server.url("/known")).from_cache


def test_statistics_add_up_under_threads(session: Session, api_server: ApiServer) -> None:
    api_server.route("/odd", Reply(status=404))

    def work(number: int) -> None:
        for turn in range(10):
            session.get(api_server.url(f"/echo?{number}.{turn}"))
            session.get(api_server.url("/odd"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    figures = session.get_stats()
    assert figures["total_requests"] == 320
    assert figures["successful_requests"] + figures["failed_requests"] == 320
    assert figures["failed_requests"] == 160
    assert figures["in_flight_requests"] == 0
    assert figures["attempts"] == api_server.hits()
    assert figures["attempts"] + figures["deduplicated_requests"] == 320
    assert figures["connections"]["connections_in_use"] == 0


def test_import_as_requests_reaches_the_same_session_class() -> None:
    assert isinstance(browseros_api.session(), requests.Session)
    assert isinstance(browseros_api.session(), Session)
