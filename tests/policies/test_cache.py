"""Laws of the cache: who may have an answer without asking, and what is forgotten when."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import requests

from browseros_api.journal import Journal
from browseros_api.pipeline import Call, compose
from browseros_api.policies import changes, sweeper
from browseros_api.policies.cache import Cache
from browseros_api.settings import Settings
from browseros_api.stores.memory import MemoryStore
from browseros_api.testing import FakeClock, wait_until
from browseros_api.timer import TIMER

URL = "http://h/things"
Origin = Callable[[Call], requests.Response]


def answer(
    status: int = 200, headers: dict[str, str] | None = None, *, url: str = URL, body: bytes = b"{}"
) -> requests.Response:
    response = requests.Response()
    response.status_code, response.url = status, url
    response._content, response._content_consumed = body, True
    response.headers.update(headers or {})
    response.request = requests.Request("GET", url).prepare()
    return response


def get(query: str = "", *, key: str | None = "", **options: Any) -> Call:
    url = URL + query
    key = url if key == "" else key
    return Call("GET", url, key=key, cache_key=key, resource=URL, **options)


def one() -> Call:
    """Of another resource."""
    return Call("GET", URL + "/1", key="other", cache_key="other", resource=URL + "/1")


def post(url: str = URL) -> Call:
    return Call("POST", url)


class Asked:
    """An origin: what it answers with, and what it was asked for."""

    def __init__(self, *answers: requests.Response) -> None:
        self.answers = list(answers) or [answer()]
        self.calls: list[Call] = []

    def __call__(self, call: Call) -> requests.Response:
        self.calls.append(call)
        return self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)


def made(clock: Callable[[], float], **settings: Any) -> Cache:
    options = {"cache_mode": "ttl", **settings}
    return Cache(Settings(**options), clock=clock, journal=Journal(enabled=False))


@pytest.fixture
def cache(fake_clock: FakeClock) -> Cache:
    return made(fake_clock)


def ask(cache: Cache, origin: Origin, call: Call | None = None) -> requests.Response:
    return compose([cache.lookup, cache.store], origin)(get() if call is None else call)


def is_known(cache: Cache, call: Call | None = None) -> bool:
    return cache.known(get() if call is None else call) is not None


# -- answered without asking -----------------------------------------------------------------------


def test_a_second_call_is_answered_without_asking(cache: Cache) -> None:
    origin = Asked(answer(body=b'{"n": 1}'))
    first, call = ask(cache, origin), get()
    second = ask(cache, origin, call)
    assert len(origin.calls) == 1
    assert first is origin.answers[0], "who asked gets what came"
    assert second.json() == first.json()
    assert second.from_cache is True  # type: ignore[attr-defined]
    assert call.from_cache
    assert not origin.calls[0].from_cache


@pytest.mark.parametrize(
    "call",
    [
        get(key=None),
        get(use_cache=False),
        Call("HEAD", URL, key=URL, resource=URL),
    ],
    ids=["without a name", "bypassing", "without a key of the cache"],
)
def test_only_a_call_that_has_a_name_and_wants_it_is_kept_or_answered(
    cache: Cache, call: Call
) -> None:
    origin = Asked()
    ask(cache, origin, call)
    assert len(cache.answers) == 0, "kept"
    ask(cache, origin)
    assert is_known(cache)
    asked = len(origin.calls)
    ask(cache, origin, call)
    assert len(origin.calls) == asked + 1, "answered"


def test_a_bypass_leaves_what_is_kept_as_it_is(cache: Cache) -> None:
    origin = Asked(answer(body=b"1"), answer(body=b"2"))
    ask(cache, origin)
    assert ask(cache, origin, get(use_cache=False)).content == b"2"
    assert ask(cache, origin).content == b"1"


BYPASSES: list[tuple[dict[str, str], bool, bool]] = [
    # the request's own headers: whether it reads, whether it is kept (RFC 9111, 5.2.1)
    ({"cache-control": "no-cache"}, False, True),
    ({"cache-control": "NO-CACHE"}, False, True),
    ({"cache-control": "max-age=0"}, False, True),
    ({"cache-control": "max-age=60"}, True, True),
    ({"cache-control": "min-fresh=60"}, True, True),
    ({"cache-control": "min-fresh=301"}, False, True),
    ({"cache-control": "no-store"}, False, False),
    ({"cache-control": "no-cache, no-store"}, False, False),
    ({"cache-control": "max-stale=60"}, True, True),
    ({"cache-control": "no-transform"}, True, True),
    ({"cache-control": ""}, True, True),
    ({"pragma": "no-cache"}, False, True),
    ({"pragma": "No-Cache"}, False, True),
    ({"pragma": "x"}, True, True),
    ({"pragma": "no-cache", "cache-control": "max-stale"}, True, True),
]


@pytest.mark.parametrize(("headers", "reads", "keeps"), BYPASSES)
def test_a_request_may_ask_for_a_fresh_answer_or_that_none_is_kept(
    cache: Cache, headers: dict[str, str], reads: bool, keeps: bool
) -> None:
    ask(cache, Asked(), get(headers=headers))
    assert is_known(cache) is keeps
    ask(cache, Asked())
    assert is_known(cache, get(headers=headers)) is reads


def test_an_answer_that_was_asked_for_anew_takes_the_place_of_the_old_one(cache: Cache) -> None:
    origin = Asked(answer(body=b"1"), answer(body=b"2"))
    ask(cache, origin)
    ask(cache, origin, get(headers={"cache-control": "no-cache"}))
    assert ask(cache, origin).content == b"2"


# -- for how long ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "own", "headers", "seconds"),
    [
        ("ttl", None, {}, 300.0),
        ("ttl", None, {"Cache-Control": "max-age=60"}, 60.0),
        ("ttl", 10.0, {"Cache-Control": "max-age=60"}, 10.0),
        ("ttl", 10.0, {}, 10.0),
        ("ttl", 10.0, {"Cache-Control": "no-cache"}, 10.0),
        ("ttl", 0.0, {}, 0.0),
        ("ttl", None, {"Cache-Control": "no-cache"}, 0.0),
        ("ttl", 10.0, {"Cache-Control": "no-store"}, 0.0),
        ("ttl", 10.0, {"Set-Cookie": "a=b"}, 0.0),
        ("ttl", 10.0, {"Vary": "*"}, 0.0),
        ("rfc", None, {}, 0.0),
        ("rfc", None, {"ETag": '"x"'}, 0.0),
        ("rfc", None, {"Last-Modified": "Thu, 01 Jan 1970 00:00:00 GMT"}, 86_400.0),
        ("rfc", None, {"Cache-Control": "public"}, 0.0),
        ("rfc", None, {"Cache-Control": "max-age=60"}, 60.0),
        ("rfc", 10.0, {}, 10.0),
        ("rfc", 10.0, {"Cache-Control": "no-store"}, 0.0),
    ],
)
def test_an_answer_is_known_for_exactly_as_long_as_it_may_be(
    mode: str, own: float | None, headers: dict[str, str], seconds: float, fake_clock: FakeClock
) -> None:
    cache = made(fake_clock, cache_mode=mode)
    ask(cache, Asked(answer(headers=headers)), get(cache_ttl=own))
    assert is_known(cache) is (seconds > 0)
    fake_clock.tick(max(0.0, seconds - 0.001))
    assert is_known(cache) is (seconds > 0)
    fake_clock.tick(0.002)
    assert not is_known(cache)


@pytest.mark.parametrize("status", [404, 410])
def test_a_missing_thing_is_asked_for_again_unless_the_server_says_otherwise(
    status: int, cache: Cache, fake_clock: FakeClock
) -> None:
    for own in (None, 100.0):
        ask(cache, Asked(answer(status)), get(cache_ttl=own))
        assert not is_known(cache)
    ask(cache, Asked(answer(status, {"Cache-Control": "max-age=900"})))
    assert is_known(cache)
    fake_clock.tick(60)
    assert not is_known(cache)


@pytest.mark.parametrize("status", [201, 202, 206, 301, 302, 400, 401, 403, 429, 500, 503])
def test_other_statuses_are_not_kept_even_if_both_sides_want_it(status: int, cache: Cache) -> None:
    ask(cache, Asked(answer(status, {"Cache-Control": "max-age=60"})), get(cache_ttl=60.0))
    assert len(cache.answers) == 0


def test_an_answer_that_is_too_large_is_not_kept(fake_clock: FakeClock) -> None:
    cache = made(fake_clock, cache_max_entry_bytes=20_000)
    ask(cache, Asked(answer(body=b"x" * 20_000)))
    assert len(cache.answers) == 0
    ask(cache, Asked(answer(body=b"x" * 5000)))
    assert is_known(cache)


def test_an_error_is_not_kept_and_comes_through(cache: Cache) -> None:
    def failing(_: Call) -> requests.Response:
        raise requests.ConnectionError("reset")

    for _ in range(2):
        with pytest.raises(requests.ConnectionError, match="reset"):
            ask(cache, failing)
    assert len(cache.answers) == 0


# -- what chose the answer -------------------------------------------------------------------------


@pytest.mark.parametrize("varied", ["User-Agent", "Accept, user-agent", "USER-AGENT , Accept"])
def test_an_answer_for_one_user_agent_is_not_for_another_if_it_varies(
    varied: str, cache: Cache
) -> None:
    def by(agent: str | None) -> Call:
        return get(headers={} if agent is None else {"user-agent": agent})

    ask(cache, Asked(answer(headers={"Vary": varied})), by("curl"))
    assert is_known(cache, by("curl"))
    assert not is_known(cache, by("firefox"))
    assert not is_known(cache, by(None))
    ask(cache, Asked(answer(headers={"Vary": varied})), by("firefox"))
    assert is_known(cache, by("firefox"))
    assert is_known(cache, by("curl")), "each has its own"


def test_an_answer_that_does_not_vary_is_for_every_user_agent(cache: Cache) -> None:
    ask(cache, Asked(answer(headers={"Vary": "Accept"})), get(headers={"user-agent": "curl"}))
    assert is_known(cache, get(headers={"user-agent": "firefox"}))


def chain(*hops: requests.Response) -> requests.Response:
    *ways, last = hops
    last.history = ways
    return last


def test_a_redirect_may_vary_too(cache: Cache) -> None:
    """To the site for telephones, say."""
    origin = Asked(chain(answer(302, {"Vary": "User-Agent"}), answer()))
    ask(cache, origin, get(headers={"user-agent": "curl"}))
    assert not is_known(cache, get(headers={"user-agent": "firefox"}))


def test_what_a_redirect_led_to_is_for_the_same_cookies_only(cache: Cache) -> None:
    alice, bob = ({":cookies": who} for who in ("a", "b"))
    ask(cache, Asked(chain(answer(302), answer())), get(headers=alice))
    assert is_known(cache, get(headers=alice))
    assert not is_known(cache, get(headers=bob))
    assert not is_known(cache, get())
    ask(cache, Asked(answer()), get("?direct", headers=alice))
    assert is_known(cache, get("?direct", headers=bob)), "its cookies are in its key"


def test_a_chain_is_kept_as_long_as_its_least_lasting_hop(
    cache: Cache, fake_clock: FakeClock
) -> None:
    ask(cache, Asked(chain(answer(302, {"Cache-Control": "max-age=5"}), answer())))
    assert is_known(cache)
    fake_clock.tick(5)
    assert not is_known(cache)
    for odd in ({"Cache-Control": "no-store"}, {"Set-Cookie": "a=b"}, {"Vary": "*"}):
        ask(cache, Asked(chain(answer(302), answer(302, odd), answer())), get(cache_ttl=60.0))
        assert not is_known(cache)


# -- forgetting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "MKCOL"])
@pytest.mark.parametrize("status", [200, 201, 202, 204, 302, 303])
@pytest.mark.parametrize("suffix", ["", "?dry=1", "#top", "?dry=1#top", "#top?dry=1"])
def test_a_successful_unsafe_call_forgets_the_resource_with_all_its_queries(
    cache: Cache, method: str, status: int, suffix: str
) -> None:
    for query in ("", "?page=1", "?page=2"):
        ask(cache, Asked(), get(query))
    ask(cache, Asked(), one())
    ask(cache, Asked(answer(status, url=URL + suffix)), Call(method, URL))
    assert not any(is_known(cache, get(query)) for query in ("", "?page=1", "?page=2"))
    assert is_known(cache, one())


@pytest.mark.parametrize("status", [400, 404, 409, 500, 503])
def test_an_unsafe_call_that_fails_forgets_nothing(cache: Cache, status: int) -> None:
    ask(cache, Asked())
    ask(cache, Asked(answer(status)), post())
    assert is_known(cache)


def test_an_unsafe_call_that_raises_forgets_nothing(cache: Cache) -> None:
    def failing(_: Call) -> requests.Response:
        raise requests.ConnectionError

    ask(cache, Asked())
    with pytest.raises(requests.ConnectionError):
        ask(cache, failing, post())
    assert is_known(cache)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE"])
def test_other_safe_calls_forget_nothing(cache: Cache, method: str) -> None:
    ask(cache, Asked())
    ask(cache, Asked(), Call(method, URL))
    assert is_known(cache)


def test_an_unsafe_call_that_was_redirected_forgets_what_it_was_sent_to(cache: Cache) -> None:
    ask(cache, Asked())
    ask(cache, Asked(chain(answer(303), answer(url="http://h/made"))), post())
    assert not is_known(cache)


def test_an_answer_without_a_request_tells_by_the_call(cache: Cache) -> None:
    """As adapters of other kinds make them."""
    bare = answer()
    bare.request = None  # type: ignore[assignment]
    ask(cache, Asked())
    ask(cache, Asked(bare), post(URL + "?x=1"))
    assert not is_known(cache)


def test_bypassing_does_not_keep_an_unsafe_call_from_forgetting(cache: Cache) -> None:
    ask(cache, Asked())
    ask(cache, Asked(), Call("POST", URL, use_cache=False))
    assert not is_known(cache)


# -- changes that cross an answer on its way -------------------------------------------------------

CHANGES: dict[str, Callable[[Cache], object]] = {
    "POST": lambda cache: ask(cache, Asked(answer()), post()),
    "clear": lambda cache: cache.keeper.clear(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_answer_that_took_off_before_a_change_is_not_kept(
    cache: Cache, change: Callable[[Cache], object]
) -> None:
    def crossed(_: Call) -> requests.Response:
        change(cache)
        return answer()

    ask(cache, crossed)
    assert not is_known(cache)
    ask(cache, Asked())
    assert is_known(cache), "one that took off after it is"


def test_a_change_of_something_else_does_not_matter(cache: Cache) -> None:
    def crossed(_: Call) -> requests.Response:
        ask(cache, Asked(answer(url="http://h/other")), post("http://h/other"))
        return answer()

    ask(cache, crossed)
    assert is_known(cache)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_in_the_very_moment_of_keeping_is_not_missed(
    cache: Cache, change: Callable[[Cache], object]
) -> None:
    assert isinstance(cache.answers, MemoryStore)
    put, changing = cache.answers.put, threading.Thread(target=change, args=(cache,))

    def slow_put(
        key: str, entry: Any, *, since: float | None, is_current: Callable[[], bool]
    ) -> bool:
        def is_current_still() -> bool:
            said = is_current()
            changing.start()  # nothing had changed; and now it does, before the answer is kept
            changing.join(0.2)
            return said

        return put(key, entry, since=since, is_current=is_current_still)

    cache.answers.put = slow_put  # type: ignore[method-assign]
    ask(cache, Asked())
    changing.join(5)
    assert not changing.is_alive()
    assert not is_known(cache)


def test_the_memory_of_changes_is_bounded_and_what_it_lost_counts_as_changed(
    cache: Cache,
) -> None:
    def crossed(_: Call) -> requests.Response:
        for number in range(3000):
            cache.keeper.forget(f"http://h/{number}")
        return answer()

    ask(cache, crossed)
    assert not is_known(cache), "who knows"
    assert len(cache.keeper.changes._latest) == changes._REMEMBERED
    ask(cache, Asked())
    assert is_known(cache)


def test_clearing_while_calls_are_in_the_air_leaves_nothing(cache: Cache) -> None:
    """Eight callers, and one who clears: nothing that was seen before the last time is known."""
    gate, stop, stale = threading.Barrier(9), threading.Event(), []
    queries = [f"?{number}" for number in range(8)]
    cleared = 0

    def origin(_: Call) -> requests.Response:
        return answer(headers={"X-Seen": str(cleared)})

    def ask_on(query: str) -> None:
        gate.wait(5)
        while not stop.is_set():
            ask(cache, origin, get(query))

    def clear_on() -> None:
        nonlocal cleared
        gate.wait(5)
        for _ in range(100):
            cleared += 1
            cache.keeper.clear()
            for known in filter(None, [cache.known(get(query)) for query in queries]):
                if int(known.headers["X-Seen"]) < cleared:
                    stale.append(cleared)
        stop.set()

    threads = [threading.Thread(target=ask_on, args=(query,)) for query in queries]
    threads.append(threading.Thread(target=clear_on))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert not stale


# -- by themselves ---------------------------------------------------------------------------------


def truly_held(cache: Cache) -> int:
    """How many entries are in memory, expired or not; asking for ``len`` would let them go."""
    return len(cache.answers._entries._Cache__data)  # type: ignore[attr-defined]


@pytest.fixture
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "_SOONEST", 0.02)


@pytest.mark.usefixtures("prompt")
def test_expired_answers_go_by_themselves_each_in_its_time() -> None:
    cache = made(time.monotonic)
    for number, ttl in enumerate((0.03, 0.09, 0.06, 30.0, 0.12)):
        ask(cache, Asked(), get(f"?{number}", cache_ttl=ttl))
    assert truly_held(cache) == 5
    wait_until(lambda: truly_held(cache) == 1, message="nobody swept")
    assert set(cache.answers._by_resource[URL]) == {URL + "?3"}
    ask(cache, Asked(), get("?late", cache_ttl=0.03))
    wait_until(lambda: truly_held(cache) == 1, message="nobody swept again")


def appointments() -> int:
    with TIMER._changed:
        return len(TIMER._heap)


def test_a_thousand_answers_are_one_appointment(cache: Cache) -> None:
    before = appointments()
    for number in range(1000):
        ask(cache, Asked(), get(f"?{number}", cache_ttl=100.0 + number))
    assert appointments() <= before + 2


@pytest.mark.usefixtures("prompt")
def test_an_empty_cache_makes_no_appointments(fake_clock: FakeClock) -> None:
    cache = made(fake_clock)
    ask(cache, Asked(), get(cache_ttl=0.01))
    fake_clock.tick(1)
    wait_until(lambda: truly_held(cache) == 0)
    wait_until(lambda: cache.keeper._sweeper._due is None)


def test_a_cache_that_nobody_uses_any_more_is_not_kept_for_its_sweeping(
    fake_clock: FakeClock,
) -> None:
    cache = made(fake_clock)
    ask(cache, Asked())
    gone = weakref.ref(cache)
    del cache
    gc.collect()
    assert gone() is None


def test_twenty_thousand_urls_take_no_more_memory_than_the_cache_may(
    fake_clock: FakeClock,
) -> None:
    cache = made(fake_clock, cache_max_entries=100, cache_max_bytes=500_000)
    origin = Asked(answer(body=b"x" * 100))
    for number in range(20_000):
        url = f"http://h/{number}"
        ask(cache, origin, Call("GET", url, key=url, cache_key=url, resource=url))
    assert len(origin.calls) == 20_000
    assert len(cache.answers) <= 100
    assert cache.answers.bytes <= 500_000
    assert truly_held(cache) == len(cache.answers._by_resource) == len(cache.answers)
    heap = cache.answers._entries._TLRUCache__order  # type: ignore[attr-defined]
    assert len(heap) <= 400


# -- forks -----------------------------------------------------------------------------------------


def test_a_child_starts_empty_whatever_its_parent_was_doing(cache: Cache) -> None:
    ask(cache, Asked())
    with cache.keeper._lock, cache.keeper.changes._lock, cache.answers._lock:
        cache.reset_after_fork()
    assert not is_known(cache)
    asking = threading.Thread(target=ask, args=(cache, Asked()))
    asking.start()
    asking.join(5)
    assert not asking.is_alive()
    assert is_known(cache)
