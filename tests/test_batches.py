"""Many calls at once: lazily, within a window, and stopped by whatever may stop them."""

from __future__ import annotations

import contextlib
import gc
import itertools
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest
import requests

from browseros_api import ClientClosed, EnhancedAPIClient
from browseros_api.batches import fetch
from browseros_api.crew import Crew
from browseros_api.testing import ApiServer, Reply, wait_until
from tests.interrupting import interrupt_main


def many(
    get: Callable[..., Any],
    endpoints: Iterable[Any],
    *,
    workers: int = 4,
    ordered: bool = True,
    on_error: str = "raise",
    progress: bool = False,
    **arguments: Any,
) -> Iterator[Any]:
    return fetch(
        get, endpoints, arguments, max_workers=workers, ordered=ordered, on_error=on_error,
        progress=progress,
    )  # fmt: skip


def echo(endpoint: str) -> str:
    return endpoint


def batch_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if "browseros_api-batch" in one.name]


@pytest.fixture(autouse=True)
def _threads_end() -> Iterator[None]:
    yield
    if batch_threads():
        gc.collect()
    wait_until(lambda: not batch_threads(), message="no thread of a batch is left")


@pytest.fixture
def client(api_server: ApiServer) -> Iterator[EnhancedAPIClient]:
    with EnhancedAPIClient(api_server.base_url, retry_base_delay=0.001) as client:
        yield client


# -- order and laziness ---------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("workers", [1, 2, 32])
@pytest.mark.parametrize("number", [0, 1, 3, 200])
def test_every_endpoint_has_its_answer(ordered: bool, workers: int, number: int) -> None:
    endpoints = [f"/{one}" for one in range(number)]
    found = list(many(echo, endpoints, workers=workers, ordered=ordered))
    assert (found if ordered else sorted(found)) == (endpoints if ordered else sorted(endpoints))


def test_answers_come_in_the_order_of_their_endpoints() -> None:
    gate = threading.Event()

    def get(endpoint: int) -> int:
        if endpoint == 0:
            assert gate.wait(10)
        return endpoint

    answers = many(get, range(6))
    threading.Timer(0.05, gate.set).start()
    assert list(answers) == [0, 1, 2, 3, 4, 5]


def test_or_else_as_they_come_in() -> None:
    gate = threading.Event()

    def get(endpoint: int) -> int:
        if endpoint == 0:
            assert gate.wait(10)
        return endpoint

    answers = many(get, range(6), ordered=False)
    first = [next(answers) for _ in range(5)]
    assert sorted(first) == [1, 2, 3, 4, 5]
    gate.set()
    assert list(answers) == [0]


def test_nothing_happens_before_the_first_answer_is_wanted() -> None:
    taken = itertools.count()
    answers = many(echo, (f"/{next(taken)}" for _ in itertools.count()))
    assert next(taken) == 0
    assert not batch_threads()
    assert next(answers)
    answers.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("ordered", [True, False])
def test_an_endless_iterable_is_read_only_as_far_as_the_window(ordered: bool) -> None:
    begun, gate = [], threading.Event()

    def endless() -> Iterator[int]:
        for number in itertools.count():
            begun.append(number)
            yield number

    def get(endpoint: int) -> int:
        if endpoint:
            gate.wait(10)
        return endpoint

    answers = many(get, endless(), workers=4, ordered=ordered)
    assert next(answers) == 0
    assert len(begun) <= 4 * 2 + 1
    gate.set()
    assert len(list(itertools.islice(answers, 100))) == 100
    assert len(begun) <= 100 + 4 * 2 + 1
    answers.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("ordered", [True, False])
def test_an_answer_waits_for_no_more_than_one_slow_endpoint(ordered: bool) -> None:
    fourth_begun, answered = threading.Event(), threading.Event()

    def slowly() -> Iterator[int]:
        yield from (1, 2, 3, 4)
        assert fourth_begun.wait(10)  # two of three workers are busy, so the first call has landed
        yield 5
        assert answered.wait(10), "the first answer was kept back"
        yield 6

    def get(endpoint: int) -> int:
        if endpoint == 4:
            fourth_begun.set()
        elif endpoint in (2, 3):
            assert fourth_begun.wait(10)
        return endpoint

    answers = many(get, slowly(), workers=3, ordered=ordered)
    first = next(answers)
    answered.set()
    assert sorted([first, *answers]) == [1, 2, 3, 4, 5, 6]


class Answer:
    """Knows how many of its kind are alive."""

    alive = peak = 0
    lock = threading.Lock()

    def __init__(self, _: str) -> None:
        with Answer.lock:
            Answer.alive += 1
            Answer.peak = max(Answer.peak, Answer.alive)

    def __del__(self) -> None:
        with Answer.lock:
            Answer.alive -= 1


@pytest.mark.parametrize("ordered", [True, False])
def test_a_hundred_thousand_answers_need_the_memory_of_a_window(ordered: bool) -> None:
    Answer.alive = Answer.peak = 0
    answers = many(Answer, ({"_": "/x"} for _ in range(100_000)), workers=4, ordered=ordered)
    assert sum(1 for _ in answers) == 100_000
    gc.collect()
    assert Answer.alive == 0
    assert Answer.peak <= 4 * 2 + 4 + 3  # the window, what is being made, what was handed out


def test_two_thousand_real_calls(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    answers = client.get_many((f"/{number}" for number in range(2000)), max_workers=8)
    assert all(answer["path"] == f"/{number}" for number, answer in enumerate(answers))
    assert api_server.hits() == 2000
    assert api_server.peak_connections <= 8
    assert client.get_stats()["successful_requests"] == 2000


def test_endpoints_may_bring_arguments_of_their_own(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    endpoints = [
        "/a",
        {"endpoint": "/b", "params": {"page": 2}},
        {"endpoint": "/c", "headers": {"X-A": "own"}},
    ]
    answers = list(client.get_many(endpoints, headers={"X-A": "all"}, params={"page": 1}))
    assert [answer["path"] for answer in answers] == ["/a", "/b", "/c"]
    assert [answer["query"]["page"] for answer in answers] == [["1"], ["2"], ["1"]]
    assert [answer["headers"]["X-A"] for answer in answers] == ["all", "all", "own"]


def test_equal_endpoints_are_one_request(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    assert len(list(client.get_many(["/x"] * 50))) == 50
    assert api_server.hits("/x") == 1


def test_there_are_no_more_threads_than_connections(api_server: ApiServer) -> None:
    api_server.route("*", Reply(json={}, delay=0.01))
    with EnhancedAPIClient(api_server.base_url, max_connections=2) as client:
        answers = client.get_many((f"/{one}" for one in range(20)), max_workers=50)
        next(answers)
        assert len(batch_threads()) <= 2
        assert len(list(answers)) == 19


# -- errors ---------------------------------------------------------------------------------------


def odd_fails(endpoint: int) -> int:
    if endpoint % 2:
        raise requests.ConnectionError(f"{endpoint} is odd")
    return endpoint


def test_an_error_ends_the_batch() -> None:
    answers = many(odd_fails, itertools.count())
    assert next(answers) == 0
    with pytest.raises(requests.ConnectionError, match="1 is odd"):
        next(answers)
    assert list(answers) == []


@pytest.mark.parametrize("ordered", [True, False])
def test_or_stands_in_the_answers_place(ordered: bool) -> None:
    found = list(many(odd_fails, range(4), on_error="return", ordered=ordered))
    assert sorted(one for one in found if isinstance(one, int)) == [0, 2]
    errors = [str(one) for one in found if isinstance(one, requests.ConnectionError)]
    assert sorted(errors) == ["1 is odd", "3 is odd"]
    if ordered:
        assert (found[0], str(found[1]), found[2], str(found[3])) == (0, "1 is odd", 2, "3 is odd")


def test_or_is_left_out() -> None:
    assert list(many(odd_fails, range(5), on_error="skip")) == [0, 2, 4]


@pytest.mark.parametrize("on_error", ["raise", "return", "skip"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ClientClosed])
def test_what_would_end_every_call_ends_the_batch(
    on_error: str, error: type[BaseException]
) -> None:
    def get(endpoint: int) -> int:
        if endpoint == 2:
            raise error("enough")
        return endpoint

    answers = many(get, itertools.count(), on_error=on_error)
    assert [next(answers), next(answers)] == [0, 1]
    with pytest.raises(error):
        next(answers)


def test_closing_the_client_ends_an_endless_batch(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    answers = client.get_many((f"/{one}" for one in itertools.count()), on_error="skip")
    assert next(answers)["path"] == "/0"
    client.close()
    with pytest.raises(ClientClosed):
        list(answers)


@pytest.mark.parametrize("ordered", [True, False])
def test_an_iterable_that_fails_is_heard_of_after_the_answers_before_it(ordered: bool) -> None:
    def failing() -> Iterator[int]:
        yield from range(3)
        raise LookupError("no more pages")

    answers, found = many(echo, failing(), ordered=ordered), []
    with pytest.raises(LookupError, match="no more pages"):
        found.extend(answers) if not ordered else [found.append(one) for one in answers]
    assert sorted(found) == [0, 1, 2]
    assert list(answers) == []


class Moody:
    """An iterator that goes on after it has failed, or ended."""

    def __init__(self, mood: Exception) -> None:
        self.asked, self.mood = 0, mood

    def __iter__(self) -> Moody:
        return self

    def __next__(self) -> int:
        self.asked += 1
        if self.asked == 3:
            raise self.mood
        return self.asked


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("mood", [StopIteration(), LookupError("enough")], ids=["ends", "fails"])
def test_an_iterable_that_is_over_is_not_asked_again(mood: Exception, ordered: bool) -> None:
    endpoints, found = Moody(mood), []
    answers = many(echo, endpoints, ordered=ordered)
    with contextlib.suppress(LookupError):
        for one in answers:
            found.append(one)
    assert sorted(found) == [1, 2]
    assert endpoints.asked == 3


def test_an_iterable_that_fails_at_once_is_heard_of_at_once() -> None:
    def failing() -> Iterator[int]:
        raise LookupError("no pages")
        yield 0

    with pytest.raises(LookupError, match="no pages"):
        next(many(echo, failing()))


def test_one_bad_endpoint_is_an_error_of_its_own(client: EnhancedAPIClient) -> None:
    endpoints: list[Any] = ["/a", 5, {"endpoint": "/b", "pramas": 1}, {"params": {}}, "/c"]
    found = list(client.get_many(endpoints, on_error="return"))
    assert [type(one) for one in found] == [dict, TypeError, TypeError, TypeError, dict]


@pytest.mark.parametrize(
    ("arguments", "kind", "name"),
    [
        *[({"endpoints": one}, TypeError, "endpoints") for one in ("/x", b"/x", 5, None)],
        ({"endpoints": {"endpoint": "/x"}}, TypeError, "endpoints"),
        *[({"max_workers": one}, TypeError, "max_workers") for one in ("4", 1.5, True, None)],
        *[({"max_workers": one}, ValueError, "max_workers") for one in (0, -1)],
        *[({"on_error": one}, ValueError, "on_error") for one in (None, "ignore", 5, ["skip"])],
        *[({"ordered": one}, TypeError, "ordered") for one in (None, 1, "yes")],
        *[({"progress": one}, TypeError, "progress") for one in (None, 1, "yes")],
        ({"use_cache": 1}, TypeError, "use_cache"),
        ({"cache_ttl": -1}, ValueError, "cache_ttl"),
        ({"deadline": 0}, ValueError, "deadline"),
        ({"headers": ["A"]}, TypeError, "headers"),
        ({"params": 5}, TypeError, "params"),
        ({"pramas": {}}, TypeError, "pramas"),
        ({"data": {1, 2}}, TypeError, "data"),
    ],
)
def test_wrong_arguments_are_errors_at_the_call(
    client: EnhancedAPIClient,
    api_server: ApiServer,
    arguments: dict[str, Any],
    kind: type[Exception],
    name: str,
) -> None:
    with pytest.raises(kind, match=name):
        client.get_many(**{"endpoints": ["/x"], **arguments})
    assert client.get_stats()["total_requests"] == 0
    assert api_server.hits() == 0


# -- stopping -------------------------------------------------------------------------------------


class Gate:
    """Calls that begin, and land only when told to."""

    def __init__(self) -> None:
        self.begun: list[Any] = []
        self.opened = threading.Event()

    def __call__(self, endpoint: Any) -> Any:
        self.begun.append(endpoint)
        if endpoint:
            assert self.opened.wait(10)
        return endpoint


@pytest.mark.parametrize("ordered", [True, False])
def test_closing_cancels_what_has_not_begun(ordered: bool) -> None:
    gate = Gate()
    answers = many(gate, itertools.count(), workers=2, ordered=ordered)
    assert next(answers) == 0
    answers.close()  # type: ignore[attr-defined]
    begun = len(gate.begun)
    assert begun <= 3
    gate.opened.set()
    wait_until(lambda: not batch_threads())
    assert len(gate.begun) == begun


def test_leaving_a_loop_ends_the_batch() -> None:
    gate = Gate()
    for _ in many(gate, itertools.count(), workers=2):
        break
    gc.collect()
    gate.opened.set()
    wait_until(lambda: not batch_threads())
    assert len(gate.begun) <= 4


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads here")
def test_ctrl_c_while_waiting_stops_cleanly(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    assert threading.current_thread() is threading.main_thread()
    hold = threading.Event()
    api_server.route("/held/*", Reply(json={}, hold=hold))
    answers = client.get_many((f"/held/{one}" for one in itertools.count()), max_workers=2)

    def interrupt() -> None:
        wait_until(lambda: api_server.active_requests == 2)
        interrupt_main()

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        next(answers)
    interrupter.join(10)
    assert list(answers) == []
    hold.set()
    wait_until(lambda: not batch_threads())
    assert api_server.hits() == 2
    assert client.get_stats()["in_flight_requests"] == 0
    assert client.get("/x")["path"] == "/x"


def test_ctrl_c_in_the_callers_own_code_stops_cleanly() -> None:
    gate = Gate()
    answers = many(gate, itertools.count(), workers=2)

    def work() -> None:
        for _ in answers:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    answers.close()  # type: ignore[attr-defined]
    gate.opened.set()
    wait_until(lambda: not batch_threads())
    assert len(gate.begun) <= 4


def test_ctrl_c_in_the_iterable_stops_at_once() -> None:
    def interrupted() -> Iterator[int]:
        yield 0
        raise KeyboardInterrupt

    gate = Gate()
    gate.opened.set()
    with pytest.raises(KeyboardInterrupt):
        list(many(gate, interrupted()))


# -- context, progress ----------------------------------------------------------------------------

USER: ContextVar[str] = ContextVar("user", default="nobody")


def test_context_variables_travel() -> None:
    token = USER.set("ada")
    try:
        assert list(many(lambda endpoint: USER.get(), range(3))) == ["ada"] * 3
    finally:
        USER.reset(token)


@pytest.mark.parametrize("ordered", [True, False])
def test_a_bar_counts_answers(ordered: bool, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    assert len(list(many(echo, [*"abcd"], progress=True, ordered=ordered))) == 4
    shown = capsys.readouterr().err
    assert "4/4" in shown
    assert "100%" in shown


def test_a_bar_counts_without_knowing_how_many(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    assert len(list(many(echo, iter("abc"), progress=True))) == 3
    shown = capsys.readouterr().err
    assert "3call" in shown
    assert "%" not in shown


@pytest.mark.parametrize("on_error", ["return", "skip"])
def test_a_bar_counts_failures_too(on_error: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    list(many(odd_fails, [*range(4)], progress=True, on_error=on_error))
    assert "4/4" in capsys.readouterr().err


def test_a_bar_tells_what_has_failed_and_what_was_asked_again(
    client: EnhancedAPIClient, api_server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tqdm")
    api_server.script("/flaky", Reply(503, repeat=2), Reply(json=1))
    api_server.script("/once", Reply(503), Reply(json=1))
    client.get("/once")  # what was asked again before is no news
    endpoints = ["/a", "/status/404", "/flaky", "/b"]
    list(client.get_many(endpoints, progress=True, on_error="skip"))
    last = capsys.readouterr().err.rstrip().rpartition("\r")[2]
    assert "4/4" in last
    assert last.endswith("call/s, 2 retries, 1 failed]")


def test_a_bar_of_what_went_well_tells_nothing_but_its_rate(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("tqdm")
    list(many(echo, [*"abcd"], progress=True))
    assert capsys.readouterr().err.rstrip().endswith("call/s]")


def test_a_bar_ends_with_its_batch(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    answers = many(echo, [*"abcd"], progress=True)
    assert capsys.readouterr().err == ""  # not before the first answer is wanted
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert capsys.readouterr().err.endswith("\n")


@pytest.mark.parametrize("end", ["all", "error", "closed"])
def test_a_bar_is_closed_however_its_batch_ends(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tqdm = pytest.importorskip("tqdm.auto")
    told: list[str] = []

    class Bar:
        def __init__(self, **_: Any) -> None:
            told.append("made")

        def update(self) -> None:
            told.append("one")

        def set_postfix_str(self, words: str, *, refresh: bool) -> None:
            assert words in ("1 failed", "2 failed")
            assert refresh is False

        def close(self) -> None:
            told.append("closed")

    monkeypatch.setattr(tqdm, "tqdm", Bar)
    answers = many(
        odd_fails, range(4), progress=True, on_error="raise" if end == "error" else "skip"
    )
    if end == "closed":
        next(answers)
        answers.close()  # type: ignore[attr-defined]
    else:
        with contextlib.suppress(requests.ConnectionError):
            list(answers)
    ones = {"all": 4, "error": 2, "closed": 1}[end]
    assert told == ["made", *["one"] * ones, "closed"]


def test_no_bar_is_no_output(capsys: pytest.CaptureFixture[str]) -> None:
    list(many(echo, ["abc"]))
    assert capsys.readouterr() == ("", "")


def test_without_tqdm_the_error_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    for name in ("tqdm", "tqdm.auto"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'browseros-api\[progress\]"):
        client.get_many(["/x"], progress=True)
    assert next(client.get_many(["/x"]))["path"] == "/x"


# -- the crew -------------------------------------------------------------------------------------


def test_a_crew_has_no_threads_before_there_is_work() -> None:
    crew = Crew(2)
    before = threading.active_count()
    assert crew.submit(lambda: 1).result(10) == 1
    assert threading.active_count() > before
    crew.dismiss()


def test_a_crew_is_dismissed_for_good() -> None:
    crew = Crew(2)
    crew.dismiss()
    crew.dismiss()
    with pytest.raises(ClientClosed):
        crew.submit(lambda: 1)


def test_a_crew_starts_anew_in_a_child() -> None:
    crew = Crew(1)
    crew.submit(lambda: 1).result(10)
    crew._lock.acquire()  # as a thread of the parent may have had it at the fork
    crew.reset_after_fork()
    assert crew.submit(lambda: 2).result(10) == 2
    crew.dismiss()
