"""Laws of caching as callers see it: through sessions and clients, over real connections."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from browseros_api import EnhancedAPIClient, Session
from browseros_api.testing import ApiServer, FakeClock, Received, Reply, wait_until

FRESH = {"Cache-Control": "max-age=60"}


@pytest.fixture
def client(api_server: ApiServer, fake_clock: FakeClock) -> Iterator[EnhancedAPIClient]:
    options: dict[str, Any] = {"clock": fake_clock, "sleep": fake_clock.sleep}
    with EnhancedAPIClient(api_server.base_url, **options) as made:
        yield made


@pytest.fixture
def session(fake_clock: FakeClock) -> Iterator[Session]:
    """One that keeps everything that may be kept."""
    with Session(cache_mode="ttl", clock=fake_clock, sleep=fake_clock.sleep) as made:
        yield made


@pytest.fixture
def strict(fake_clock: FakeClock) -> Iterator[Session]:
    """One as it comes: it keeps what the server allows."""
    with Session(clock=fake_clock, sleep=fake_clock.sleep) as made:
        yield made


class Numbers:
    """A handler that answers 1, 2, 3: which answer is it?"""

    def __init__(self, **reply: Any) -> None:
        self.reply, self.given, self._lock = reply, 0, threading.Lock()

    def __call__(self, request: Received) -> Reply:
        with self._lock:
            self.given += 1
            return Reply(json=self.given, **self.reply)


def in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, list[Any]]:
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(function(*args, **kwargs)))
    thread.start()
    return thread, got


# -- the client's cache ----------------------------------------------------------------------------


def test_the_client_asks_once_in_five_minutes(
    client: EnhancedAPIClient, api_server: ApiServer, fake_clock: FakeClock
) -> None:
    api_server.route("/data", Numbers())
    assert [client.get("/data", params={"page": 1}) for _ in range(3)] == [1, 1, 1]
    fake_clock.tick(299.9)
    assert client.get("/data", params={"page": 1}) == 1
    fake_clock.tick(0.2)
    assert client.get("/data", params={"page": 1}) == 2
    assert client.get("/data", params={"page": 2}) == 3


def test_a_call_may_bring_its_own_ttl_and_the_client_too(
    api_server: ApiServer, fake_clock: FakeClock
) -> None:
    api_server.route("/data", Numbers())
    with EnhancedAPIClient(api_server.base_url, cache_ttl=10.0, clock=fake_clock) as client:
        assert client.get("/data") == 1
        assert client.get("/data", params={"q": 1}, cache_ttl=600.0) == 2
        fake_clock.tick(10)
        assert client.get("/data") == 3
        fake_clock.tick(589)
        assert client.get("/data", params={"q": 1}) == 2
        fake_clock.tick(1)
        assert client.get("/data", params={"q": 1}) == 4


@pytest.mark.parametrize("options", [{"cache_ttl": 0.0}, {"enable_cache": False}])
def test_a_client_that_is_to_keep_nothing_keeps_nothing(
    options: dict[str, Any], api_server: ApiServer
) -> None:
    api_server.route("/data", Numbers())
    with EnhancedAPIClient(api_server.base_url, **options) as client:
        assert [client.get("/data") for _ in range(2)] == [1, 2]
        assert client.get_stats()["cache_size"] == 0
        client.clear_cache()


def test_a_bypass_neither_reads_nor_writes(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.route("/data", Numbers())
    assert client.get("/data", use_cache=False) == 1
    assert client.get_stats()["cache_size"] == 0
    assert client.get("/data") == 2
    assert client.get("/data", use_cache=False) == 3
    assert client.get("/data") == 2


def test_clearing_forgets_everything(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    api_server.route("/data", Numbers())
    assert [client.get("/data", params={"q": q}) for q in "ab"] == [1, 2]
    assert client.get_stats()["cache_size"] == 2
    client.clear_cache()
    assert (client.get_stats()["cache_size"], client.get_stats()["cache_bytes"]) == (0, 0)
    assert [client.get("/data", params={"q": q}) for q in "ab"] == [3, 4]


def test_the_figures_tell_how_well_it_works(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    for _ in range(4):
        client.get("/data")
    figures = client.get_stats()
    assert figures["cached_responses"] == 3
    assert figures["cache_size"] == 1
    assert figures["cache_hit_rate"] == 0.75
    assert figures["cache_bytes"] > 0
    assert (figures["total_requests"], figures["successful_requests"]) == (4, 4)
    assert api_server.hits() == 1


def test_what_is_kept_can_be_looked_up_when_the_server_is_gone(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.script("/data", Reply(json={"n": 1}), Reply(503))
    key = client.cache_key("/data", params={"q": 1})
    assert client._get_cached(key) is None
    assert client.get("/data", params={"q": 1}) == {"n": 1}
    assert client._get_cached(key) == {"n": 1}
    assert client.get_cached("/data", params={"q": 1}) == {"n": 1}
    assert client.get_cached("/data") is None


def test_each_caller_has_a_document_of_its_own(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.route("/data", Reply(json={"items": [1, 2]}))
    for _ in range(3):
        document = client.get("/data")
        assert document == {"items": [1, 2]}
        document["items"].clear()


def test_only_get_is_kept(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    api_server.route("/data", Numbers(headers=FRESH))
    assert [client.post("/data") for _ in range(2)] == [1, 2]
    assert [client.request("OPTIONS", "/data") for _ in range(2)] == [3, 4]
    assert [client.put("/data", data={"a": 1}) for _ in range(2)] == [5, 6]
    assert client.get_stats()["cache_size"] == 0


def test_the_cache_is_bounded_in_entries(api_server: ApiServer) -> None:
    with EnhancedAPIClient(api_server.base_url, cache_max_entries=3) as client:
        for number in (1, 2, 3, 1, 4):
            client.get("/data", params={"n": number})
        assert client.get_stats()["cache_size"] == 3
        assert client.get_cached("/data", params={"n": 1}) is not None, "it was used last"
        assert client.get_cached("/data", params={"n": 2}) is None


def test_the_cache_is_bounded_in_bytes(api_server: ApiServer) -> None:
    with Session(
        cache_mode="ttl", cache_max_bytes=400_000, cache_max_entry_bytes=150_000
    ) as session:
        for number in range(8):
            session.get(api_server.url("/bytes/100000"), params={"n": number})
            assert session.get_stats()["cache_bytes"] <= 400_000
        assert session.get_stats()["cache_size"] == 3
        session.get(api_server.url("/bytes/200000"))
        assert session.get_stats()["cache_size"] == 3


def test_expired_answers_go_by_themselves(api_server: ApiServer) -> None:
    with EnhancedAPIClient(api_server.base_url, cache_ttl=0.05) as client:
        for number in range(20):
            client.get("/data", params={"n": number})
        entries = client.session.engine.cache.answers._entries
        held = entries._Cache__data  # type: ignore[attr-defined]  # looking lets nothing go
        wait_until(lambda: not held, message="they are still in memory")


# -- the session's cache ---------------------------------------------------------------------------


def test_a_session_keeps_nothing_that_the_server_did_not_allow(
    strict: Session, api_server: ApiServer
) -> None:
    api_server.route("/data", Numbers())
    api_server.route("/created", Numbers(status=201, headers={"Cache-Control": "private"}))
    for path in ("/data", "/created"):
        assert [strict.get(api_server.url(path)).json() for _ in range(2)] == [1, 2]
    assert strict.get_stats()["cache_size"] == 0


def test_a_session_keeps_for_as_long_as_the_server_says(
    strict: Session, api_server: ApiServer, fake_clock: FakeClock
) -> None:
    api_server.route("/data", Numbers(headers={"Cache-Control": "max-age=60", "Age": "20"}))
    answers = [strict.get(api_server.url("/data")) for _ in range(2)]
    assert [answer.json() for answer in answers] == [1, 1]
    assert [answer.from_cache for answer in answers] == [False, True]
    fake_clock.tick(40)
    assert strict.get(api_server.url("/data")).json() == 2


def test_a_caller_may_allow_what_the_server_did_not(strict: Session, api_server: ApiServer) -> None:
    api_server.route("/data", Numbers())
    api_server.route("/secret", Numbers(headers={"Cache-Control": "no-store"}))
    assert [strict.get(api_server.url("/data"), cache_ttl=9).json() for _ in range(2)] == [1, 1]
    assert [strict.get(api_server.url("/secret"), cache_ttl=9).json() for _ in range(2)] == [1, 2]


@pytest.mark.parametrize(
    "headers",
    [{"Cache-Control": "no-cache"}, {"cache-control": "max-age=0"}, {"Pragma": "no-cache"}],
)
def test_a_request_that_asks_for_a_fresh_answer_gets_it_and_renews_what_is_kept(
    headers: dict[str, str], session: Session, api_server: ApiServer
) -> None:
    api_server.route("/data", Numbers())
    url = api_server.url("/data")
    assert session.get(url).json() == 1
    assert session.get(url, headers=headers).json() == 2
    assert session.get(url).json() == 2


def test_a_request_that_is_not_to_be_stored_is_not(session: Session, api_server: ApiServer) -> None:
    session.headers["Cache-Control"] = "no-store"
    api_server.route("/data", Numbers())
    assert [session.get(api_server.url("/data")).json() for _ in range(2)] == [1, 2]


def test_an_answer_for_one_user_agent_is_not_for_another_if_it_varies(
    session: Session, api_server: ApiServer
) -> None:
    api_server.route("/data", Numbers(headers={"Vary": "User-Agent"}))
    api_server.route("/plain", Numbers())

    def ask(path: str, agent: str) -> Any:
        return session.get(api_server.url(path), headers={"User-Agent": agent}).json()

    assert [ask("/data", agent) for agent in ("a", "a", "b", "b")] == [1, 1, 2, 2]
    assert [ask("/plain", agent) for agent in ("a", "a", "b", "b")] == [1, 1, 1, 1]


def test_what_one_reader_does_to_an_answer_no_other_sees(
    session: Session, api_server: ApiServer
) -> None:
    api_server.route("/old", Reply(302, headers={"Location": "/data"}))
    api_server.route("/data", Reply(json={"n": [1]}, headers={"X-A": "1"}))
    for _ in range(3):
        answer = session.get(api_server.url("/old"))
        assert answer.json() == {"n": [1]}
        assert answer.headers["X-A"] == "1"
        assert [hop.status_code for hop in answer.history] == [302]
        assert "X-Spoilt" not in answer.request.headers
        answer.headers["X-A"] = "2"
        answer.request.headers["X-Spoilt"] = "1"
        answer.history.clear()
        answer._content = b"spoilt"
        answer.close()
    assert api_server.hits("/data") == 1


# -- what is never kept, however much both sides want it -------------------------------------------

TEXT = b'{"items": [' + b",".join(b"%d" % (n * n % 9973) for n in range(9000)) + b"]}"
ZIPPED = gzip.compress(TEXT)
CODED = {**FRESH, "Content-Encoding": "gzip", "Content-Type": "application/json"}


def wire(*lines: str, body: bytes = b'{"ok": 1}') -> Reply:
    head = "\r\n".join(["HTTP/1.1 200 OK", "Cache-Control: max-age=60", *lines])
    return Reply(raw=head.encode() + b"\r\n\r\n" + body)


NEVER: dict[str, Reply] = {
    "no-store": Reply(json=1, headers={"Cache-Control": "max-age=60, no-store"}),
    "a cookie": Reply(json=1, headers={**FRESH, "Set-Cookie": "who=alice"}),
    "Vary: *": Reply(json=1, headers={**FRESH, "Vary": "*"}),
    "a part": Reply(206, body="part", headers={**FRESH, "Content-Range": "bytes 0-3/10"}),
    "a redirect nobody follows": Reply(301, headers=FRESH),
    "many choices": Reply(300, headers=FRESH),
    "a client's error": Reply(400, headers=FRESH),
    "a missing permission": Reply(403, headers=FRESH),
    "a missing thing without a word": Reply(404),
    "a server's error": Reply(500, headers=FRESH),
    "an unknown status": Reply(299, headers=FRESH),
    "a body whose length is no number": wire("Content-Length: abc"),
    "a body of negative length": wire("Content-Length: -5"),
    "a body with two framings": wire(
        "Content-Length: 9", "Transfer-Encoding: chunked", body=b'9\r\n{"ok": 1}\r\n0\r\n\r\n'
    ),
    "half a gzip, of a length that fits": Reply(body=ZIPPED[: len(ZIPPED) // 2], headers=CODED),
    "half a gzip, in chunks that end": Reply(
        body=ZIPPED[: len(ZIPPED) // 2], headers=CODED, chunked=True
    ),
    "half a gzip, to the end of the connection": wire(
        "Content-Encoding: gzip", body=ZIPPED[: len(ZIPPED) // 2]
    ),
    "a gzip without its last byte": Reply(body=ZIPPED[:-1], headers=CODED),
    "a gzip in a gzip that is half": Reply(
        body=gzip.compress(ZIPPED[:-9]), headers={**CODED, "Content-Encoding": "gzip, gzip"}
    ),
    "a gzip of nothing at all": Reply(body=b"", headers=CODED),
}


@pytest.mark.parametrize("reply", NEVER.values(), ids=NEVER)
def test_what_is_never_kept_is_returned_as_it_is_and_asked_for_again(
    reply: Reply, api_server: ApiServer
) -> None:
    api_server.route("/data", reply)
    api_server.route("/way", Reply(302, headers={**FRESH, "Location": "/data"}))
    url = api_server.url("/data")
    stock = requests.get(url, timeout=5)
    asked = api_server.hits("/data")
    with Session(cache_mode="ttl", max_retries=0) as session:
        for _ in range(2):
            answer = session.get(url, cache_ttl=60)
            assert (answer.status_code, answer.content) == (stock.status_code, stock.content)
            assert dict(answer.headers) == dict(stock.headers)
        assert session.get_stats()["cache_size"] == 0
        assert session.get_stats()["cached_responses"] == 0
        session.get(api_server.url("/way"), cache_ttl=60)
        assert session.get_stats()["cache_size"] == 0, "at the end of a redirect"
    assert api_server.hits("/data") - asked == 3


BROKEN: dict[str, Reply] = {
    "a head that ends in the middle": Reply(
        raw=b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
    ),
    "a body that is shorter than said": Reply(body=b"x" * 100, truncate=50, headers=FRESH),
    "chunks without an end": Reply(body=b"x" * 100, chunked=True, truncate=50, headers=FRESH),
    "a reset": Reply(body=b"x" * 100, reset=50, headers=FRESH),
    "a gzip that is none": Reply(body=b"x" * 100, headers=CODED),
    "a gzip with a hole": Reply(body=ZIPPED[:50] + b"?" * 9 + ZIPPED[59:], headers=CODED),
}


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
def test_what_breaks_on_the_way_is_an_error_each_time(reply: Reply, api_server: ApiServer) -> None:
    api_server.route("/data", reply)
    with Session(cache_mode="ttl", max_retries=0, enable_circuit_breaker=False) as session:
        for _ in range(2):
            with pytest.raises(requests.RequestException):
                session.get(api_server.url("/data"), cache_ttl=60)
        assert session.get_stats()["cache_size"] == 0


WHOLE: dict[str, Reply] = {
    "a gzip": Reply(body=ZIPPED, headers=CODED),
    "a gzip in chunks": Reply(body=ZIPPED, headers=CODED, chunked=True),
    "a gzip to the end of the connection": wire("Content-Encoding: gzip", body=ZIPPED),
    "two members": Reply(body=gzip.compress(TEXT[:99]) + gzip.compress(TEXT[99:]), headers=CODED),
    "a coding that nobody knows": Reply(body=TEXT, headers={**CODED, "Content-Encoding": "foo"}),
    "nothing special": Reply(body=TEXT, headers=FRESH),
    "to the end of the connection": wire(body=TEXT),
}


@pytest.mark.parametrize("reply", WHOLE.values(), ids=WHOLE)
def test_a_whole_answer_is_kept_however_it_came(reply: Reply, api_server: ApiServer) -> None:
    api_server.route("/data", reply)
    with Session() as session:
        for _ in range(2):
            assert session.get(api_server.url("/data")).content == TEXT
    assert api_server.hits("/data") == 1


def test_a_missing_thing_is_kept_if_the_server_says_so(
    session: Session, strict: Session, api_server: ApiServer, fake_clock: FakeClock
) -> None:
    api_server.route("/gone", Reply(410, headers={"Cache-Control": "max-age=3600"}))
    for either in (session, strict):
        asked = api_server.hits("/gone")
        for _ in range(2):
            assert either.get(api_server.url("/gone")).status_code == 410
        assert api_server.hits("/gone") == asked + 1
    fake_clock.tick(60)
    assert session.get(api_server.url("/gone")).from_cache is False, "but not for long"
    assert strict.get(api_server.url("/gone")).from_cache is True, "but as long as it says"


def test_what_was_rescued_by_a_retry_is_kept(session: Session, api_server: ApiServer) -> None:
    api_server.script("/flaky", Reply(503), Reply(json=1))
    for _ in range(2):
        assert session.get(api_server.url("/flaky")).json() == 1
    assert api_server.hits("/flaky") == 2


def test_cookies_of_an_answer_reach_the_jar_each_time(
    session: Session, api_server: ApiServer
) -> None:
    def login(request: Received) -> Reply:
        return Reply(json=1, headers={**FRESH, "Set-Cookie": f"visit={api_server.hits('/in')}"})

    api_server.route("/in", login)
    for visit in ("1", "2"):
        session.get(api_server.url("/in"))
        assert session.cookies.get("visit") == visit


# -- what changes things ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_successful_change_forgets_the_resource_with_all_its_queries(
    method: str, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.route("/users", Numbers(), method="GET")
    api_server.route("/others", Numbers(), method="GET")
    assert [client.get("/users", params={"page": page}) for page in (1, 2)] == [1, 2]
    assert client.get("/others") == 1
    getattr(client, method)("/users")
    assert [client.get("/users", params={"page": page}) for page in (1, 2)] == [3, 4]
    assert client.get("/others") == 1


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_change_that_fails_forgets_nothing(
    status: int, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.route("/users", Numbers(), method="GET")
    api_server.route("/users", Reply(status), method="POST")
    assert client.get("/users") == 1
    with pytest.raises(requests.HTTPError):
        client.post("/users", data={"a": 1})
    assert client.get("/users") == 1


def test_a_change_with_query_and_fragment_forgets_as_well(
    session: Session, api_server: ApiServer
) -> None:
    api_server.route("/users", Numbers(), method="GET")
    url = api_server.url("/users")
    assert session.get(url).json() == 1
    session.post(url + "?dry=1#top")
    assert session.get(url).json() == 2


def test_a_prepared_change_forgets_as_well(session: Session, api_server: ApiServer) -> None:
    api_server.route("/users", Numbers(), method="GET")
    url = api_server.url("/users")
    assert session.get(url).json() == 1
    session.send(session.prepare_request(requests.Request("POST", url)))
    assert session.get(url).json() == 2


def test_an_answer_that_took_off_before_a_change_is_neither_kept_nor_joined(
    session: Session, api_server: ApiServer
) -> None:
    go, numbers = threading.Event(), Numbers()

    def held(request: Received) -> Reply:
        reply = numbers(request)
        return Reply(json=reply.json, hold=go) if reply.json == 1 else reply

    api_server.route("/users", held, method="GET")
    url = api_server.url("/users")
    before, old = in_thread(session.get, url)
    wait_until(lambda: api_server.hits("/users") == 1)
    session.post(url)
    assert session.get(url, timeout=5).json() == 2, "it did not wait for what may be out of date"
    go.set()
    before.join(5)
    assert [answer.json() for answer in old] == [1]
    assert session.get(url).json() == 2, "nor was that kept when it came"


def test_an_answer_in_the_air_is_not_kept_if_the_cache_was_cleared(
    session: Session, api_server: ApiServer
) -> None:
    go = threading.Event()
    api_server.script("/data", Reply(json=1, hold=go), Reply(json=2))
    asking, got = in_thread(session.get, api_server.url("/data"))
    wait_until(lambda: api_server.hits("/data") >= 1)
    session.clear_cache()
    go.set()
    asking.join(5)
    assert got[0].json() == 1
    assert session.get_stats()["cache_size"] == 0
    assert session.get(api_server.url("/data")).json() == 2


# -- redirects and who asks ------------------------------------------------------------------------


def is_followed(session: Session) -> bool:
    return "1 followers" in repr(session.engine.flights)


def who(request: Received) -> Reply:
    return Reply(json=request.headers.get("cookie"))


def test_what_a_redirect_led_to_is_for_the_same_cookies_only(
    session: Session, api_server: ApiServer
) -> None:
    api_server.route("/home", Reply(302, headers={"Location": "/private/me"}))
    api_server.route("/private/me", who)
    seen = []
    for name in ("alice", "bob", "bob", "alice"):
        session.cookies.set("who", name, path="/private")  # not for /home: it is not in that name
        answer = session.get(api_server.url("/home"))
        seen.append((answer.json(), answer.from_cache))
    assert [said for said, _ in seen] == ["who=alice", "who=bob", "who=bob", "who=alice"]
    assert seen[2] == ("who=bob", True)


def test_followers_whose_cookies_differ_where_a_redirect_leads_do_not_share(
    session: Session, api_server: ApiServer
) -> None:
    go = threading.Event()
    api_server.route("/home", Reply(302, headers={"Location": "/private/me"}, hold=go))
    api_server.route("/private/me", who)
    url, calls = api_server.url("/home"), []
    for name in ("alice", "bob"):
        jar = requests.cookies.RequestsCookieJar()
        jar.set("who", name, domain="127.0.0.1", path="/private")
        calls.append(in_thread(session.get, url, cookies=jar))
        wait_until(lambda: api_server.hits("/home") >= 1)
    wait_until(lambda: is_followed(session) or api_server.hits("/home") == 2)
    go.set()
    for thread, _ in calls:
        thread.join(5)
    assert [got[0].json() for _, got in calls] == ["who=alice", "who=bob"]


def test_followers_of_another_user_agent_do_not_share_what_varies_by_it(
    session: Session, api_server: ApiServer
) -> None:
    go = threading.Event()

    def agent(request: Received) -> Reply:
        headers = {"Vary": "User-Agent"}
        return Reply(json=request.headers["user-agent"], headers=headers, hold=go)

    api_server.route("/data", agent)
    url, calls = api_server.url("/data"), []
    for name in ("curl", "firefox"):
        calls.append(in_thread(session.get, url, headers={"User-Agent": name}))
        wait_until(lambda: api_server.hits("/data") >= 1)
    wait_until(lambda: is_followed(session) or api_server.hits("/data") == 2)
    go.set()
    for thread, _ in calls:
        thread.join(5)
    assert [got[0].json() for _, got in calls] == ["curl", "firefox"]


# -- many at once ----------------------------------------------------------------------------------


def test_a_crowd_asks_once_and_each_may_do_with_the_answer_what_it_likes(
    session: Session, api_server: ApiServer
) -> None:
    api_server.route("/data", Reply(json={"n": [1, 2, 3]}, headers={"X-A": "1"}))
    gate, wrong = threading.Barrier(16), []

    def read(number: int) -> None:
        gate.wait(5)
        for _ in range(10):
            answer = session.get(api_server.url("/data"))
            if answer.json() != {"n": [1, 2, 3]} or answer.headers["X-A"] != "1":
                wrong.append(answer)
            answer.headers["X-A"] = str(number)
            answer.json()["n"].append(number)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert not wrong
    assert api_server.hits("/data") == 1
    figures = session.get_stats()
    assert figures["cached_responses"] + figures["deduplicated_requests"] == 159


def test_readers_and_writers_never_see_what_was_before_a_write_of_their_own(
    session: Session, api_server: ApiServer
) -> None:
    """Each thread has a counter on the server: after it has counted up it reads what it wrote."""
    counters: dict[str, int] = {}

    def count(request: Received) -> Reply:
        if request.method == "POST":
            counters[request.path] = counters.get(request.path, 0) + 1
        return Reply(json=counters.get(request.path, 0))

    api_server.route("*", count)
    gate, wrong = threading.Barrier(12), []

    def work(number: int) -> None:
        url = api_server.url(f"/counter/{number % 6}")
        gate.wait(5)
        for _ in range(8):
            written = session.post(url).json()
            read = session.get(url).json()
            if read < written:
                wrong.append((written, read))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert not wrong
