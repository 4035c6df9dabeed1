"""Laws of single flight, with a service that answers when it is told to."""

from __future__ import annotations

import gc
import signal
import threading
import traceback
import weakref
from collections.abc import Callable

import pytest
import requests

from browseros_api.errors import BodyTimeout, CircuitOpenError, DeadlineExceeded, ReadTimeout
from browseros_api.journal import Journal
from browseros_api.pipeline import Call
from browseros_api.policies.flights import Flights
from browseros_api.testing import FakeClock
from tests.flying import PATIENCE, URL, Caller, Panic, Service, call_of, response, shows
from tests.interrupting import interrupt_main

POST = {"key": None, "method": "POST"}


@pytest.fixture
def flights(fake_clock: FakeClock) -> Flights:
    return Flights(clock=fake_clock, journal=Journal(enabled=False))


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def fly(flights: Flights, service: Service) -> Callable[..., Caller[requests.Response]]:
    """Makes a call in a thread of its own."""

    def begin(call: Call | None = None) -> Caller[requests.Response]:
        return Caller(flights.join, call or call_of(), service)

    return begin


# -- one asks, and all get it ---------------------------------------------------------------------


def test_a_lone_call_is_asked_once_and_gets_the_very_answer(
    flights: Flights, service: Service, fly
) -> None:
    """D1"""
    caller, answer = fly(), response(b"alone")
    service.question().answer(answer)
    assert caller.value is answer
    assert len(service.asked) == 1
    assert len(flights) == 0


def test_an_error_comes_to_its_caller_as_the_same_object(flights: Flights, fly, service) -> None:
    """D2"""
    caller, error = fly(), requests.ConnectionError("reset")
    service.question().fail(error)
    assert caller.error is error
    assert len(flights) == 0


@pytest.mark.parametrize("count", [2, 10, 200])
def test_identical_calls_in_the_air_are_asked_once(
    count: int, flights: Flights, service: Service, fly
) -> None:
    """D3, D8: each caller gets the answer, and all but one are told that they followed."""
    calls = [call_of() for _ in range(count)]
    callers = [fly(call) for call in calls]
    shows(flights, f"1 in the air, {count - 1} followers")
    service.question().answer(b"shared")
    assert {caller.value.content for caller in callers} == {b"shared"}
    assert len({id(caller.value) for caller in callers}) == count
    assert sum(call.followed for call in calls) == count - 1
    assert len(service.asked) == 1
    assert len(flights) == 0


def test_the_leader_asks_in_its_own_thread(fly, service: Service) -> None:
    caller = fly()
    question = service.question()
    assert question.thread is caller
    question.answer()
    assert caller.value.ok


def test_each_gets_an_answer_of_its_own(fly, flights: Flights, service: Service) -> None:
    """D15: what one changes in its answer does not show in another's."""
    callers = [fly() for _ in range(3)]
    shows(flights, "2 followers")
    service.question().answer(response(b"[1]", ETag="x"))
    first, *others = [caller.value for caller in callers]
    first.headers["ETag"] = "changed"
    first.cookies.set("a", "b")
    first.history.append(first)
    first.request.headers["X"] = "y"
    first.json().append(2)
    for other in others:
        assert other.headers["ETag"] == "x"
        assert not other.cookies
        assert other.history == []
        assert "X" not in other.request.headers
        assert other.json() == [1]


def test_different_keys_fly_at_once(fly, flights: Flights, service: Service) -> None:
    """D9"""
    callers = [fly(call_of(key)) for key in "abc"]
    questions = [service.question() for _ in "abc"]
    shows(flights, "3 in the air, 0 followers")
    for question in questions:
        question.answer(str(question.call.key).encode())
    assert [caller.value.content for caller in callers] == [b"a", b"b", b"c"]


def test_a_call_without_a_key_is_shared_with_nobody(flights: Flights, fly, service) -> None:
    """D11, D16: such are unsafe methods and streams."""
    callers = [fly(call_of(None)) for _ in range(3)]
    questions = [service.question() for _ in range(3)]
    assert len(flights) == 0
    for question in questions:
        question.answer()
    assert all(caller.value.ok for caller in callers)


@pytest.mark.parametrize("ending", ["answer", "failure"])
def test_nothing_is_remembered_after_the_landing(ending: str, fly, service: Service) -> None:
    """D6: a later call is asked again, whatever came of the one before."""
    for _ in range(2):
        caller = fly()
        if ending == "answer":
            service.question().answer()
            assert caller.value.ok
        else:
            service.question().fail(requests.ConnectionError())
            assert caller.error
    assert len(service.asked) == 2


# -- failures ------------------------------------------------------------------------------------


def test_a_failure_reaches_all_as_a_fresh_exception_each(fly, flights: Flights, service) -> None:
    """D4: different objects that tell the same."""
    callers = [fly() for _ in range(20)]
    shows(flights, "19 followers")
    answer, request = response(status=502), requests.Request("GET", URL).prepare()
    failure = requests.HTTPError("boom", 7, response=answer, request=request)
    service.question().fail(failure)
    errors = [caller.error for caller in callers]
    assert len({id(error) for error in errors}) == 20
    assert {type(error) for error in errors} == {requests.HTTPError}
    assert {error.args for error in errors} == {("boom", 7)}
    assert all(error.response is answer and error.request is request for error in errors)
    assert all(error is failure or error.__cause__ is failure for error in errors)
    assert len(flights) == 0


def test_tracebacks_do_not_grow_with_the_number_of_waiters(fly, flights, service) -> None:
    callers = [fly() for _ in range(50)]
    shows(flights, "49 followers")
    failure = requests.ConnectionError("boom")
    service.question().fail(failure)
    depths = {len(traceback.extract_tb(caller.error.__traceback__)) for caller in callers}
    assert max(depths) < 10
    assert failure.__context__ is None


def test_a_shared_failure_does_not_take_up_the_callers_own_troubles(fly, flights, service) -> None:
    def troubled() -> None:
        try:
            raise KeyError("of my own")
        except KeyError:
            flights.join(call_of(), service)

    leader = fly()
    question = service.question()
    follower = Caller(troubled)
    shows(flights, "1 followers")
    failure = CircuitOpenError("open", endpoint="/x", retry_after=3.0)
    question.fail(failure)
    shared = follower.error
    assert isinstance(shared, CircuitOpenError)
    assert isinstance(shared.__context__, KeyError)
    assert (shared.endpoint, shared.retry_after) == ("/x", 3.0)
    assert leader.error is failure
    assert failure.__context__ is None


def test_errors_are_not_kept_alive_by_the_flight(flights: Flights) -> None:
    """Nor by a circle of references that only the collector would find."""

    class Boom(Exception):
        pass

    def fail(call: Call) -> requests.Response:
        raise Boom

    gc.collect()
    gc.disable()
    try:
        try:
            flights.join(call_of(), fail)
        except Boom as error:
            seen = weakref.ref(error)
        assert seen() is None
    finally:
        gc.enable()


# -- the leader drops out ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, Panic])
def test_if_the_leader_drops_out_one_follower_takes_off(kind, fly, flights, service) -> None:
    """D5, D13: nobody hangs, and nobody gets what was meant for the leader."""
    leader = fly()
    dropped = service.question()
    followers = [fly() for _ in range(10)]
    shows(flights, "10 followers")
    dropped.fail(kind("stop"))
    assert type(leader.error) is kind
    service.question().answer(b"second")
    assert {follower.value.content for follower in followers} == {b"second"}
    assert len(service.asked) == 2
    assert len(flights) == 0


def test_a_real_interrupt_in_the_main_thread_hands_over(flights: Flights, service: Service) -> None:
    followers: list[Caller[requests.Response]] = []

    def interrupted(call: Call) -> requests.Response:
        followers.extend(Caller(flights.join, call_of(), service) for _ in range(5))
        shows(flights, "5 followers")
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("it was not interrupted")

    with pytest.raises(KeyboardInterrupt):
        flights.join(call_of(), interrupted)
    service.question().answer(b"second")
    assert {follower.value.content for follower in followers} == {b"second"}
    assert len(service.asked) == 1
    assert len(flights) == 0


def test_with_nobody_left_the_key_is_gone(fly, flights: Flights, service: Service) -> None:
    leader = fly()
    service.question().fail(Panic())
    assert isinstance(leader.error, Panic)
    assert len(flights) == 0


def test_it_can_be_handed_over_again_and_again(fly, flights: Flights, service: Service) -> None:
    callers = [fly() for _ in range(6)]
    for left in (5, 4, 3, 2):
        shows(flights, f"1 in the air, {left} followers")
        service.question().fail(Panic(str(left)))
    shows(flights, "1 in the air, 1 followers")
    service.question().answer(b"at last")
    ended = [caller.value if caller._error is None else None for caller in _joined(callers)]
    assert sum(one is not None and one.content == b"at last" for one in ended) == 2
    assert len(service.asked) == 5
    assert len(flights) == 0


def test_who_takes_over_has_not_followed(fly, flights: Flights, service: Service) -> None:
    """D8: it asked for itself."""
    calls = [call_of() for _ in range(3)]
    callers = [fly(call) for call in calls]
    shows(flights, "2 followers")
    service.question().fail(Panic())
    service.question().answer()
    _joined(callers)
    assert sorted(call.followed for call in calls) == [False, False, True]


def _joined(callers: list[Caller]) -> list[Caller]:
    for caller in callers:
        caller._ended()
    return callers


def test_who_comes_while_nobody_leads_takes_off(fly, flights: Flights, service: Service) -> None:
    leader, follower, late = call_of(), call_of(), call_of()
    assert flights.board(leader).leads
    seat = flights.board(follower)
    flights.leave(leader)
    assert flights.board(late).leads
    assert not seat.leads
    flights.leave(late)
    told = seat.landing.result(0)
    flights.board_again(follower, told)  # still waits, for what the late one left behind
    told = seat.landing.result(0)
    flights.board_again(follower, told)
    assert seat.leads
    flights.leave(follower)
    assert len(flights) == 0


def test_a_late_follower_gets_what_the_successor_got(flights: Flights, service: Service) -> None:
    """It wakes after the successor has landed, and does not ask again."""
    leader, follower, slow = call_of(), call_of(), call_of()
    flights.board(leader)
    flights.board(follower)
    seat = flights.board(slow)
    flights.leave(leader)
    flights.board_again(follower, follower.seat.landing.result(0))
    caller = Caller(flights.join, follower, service)
    service.question().answer(b"successor")
    assert caller.value.content == b"successor"
    assert len(flights) == 0
    assert not seat.leads
    assert flights.join(slow, service).content == b"successor"
    assert len(service.asked) == 1
    assert slow.followed


# -- time ----------------------------------------------------------------------------------------


def test_a_leader_past_its_deadline_hands_over(fly, flights: Flights, service: Service) -> None:
    leader = fly(call_of(deadline=1e9))
    question = service.question()
    followers = [fly() for _ in range(4)]
    shows(flights, "4 followers")
    question.fail(DeadlineExceeded("too late for me"))
    assert isinstance(leader.error, DeadlineExceeded)
    service.question().answer(b"in time")
    assert {follower.value.content for follower in followers} == {b"in time"}
    assert len(service.asked) == 2


@pytest.mark.parametrize("kind", [ReadTimeout, BodyTimeout, requests.Timeout, TimeoutError])
def test_a_leader_with_the_shorter_timeout_hands_over(kind, fly, flights, service) -> None:
    leader = fly(call_of(patience=1.0))
    question = service.question()
    patient = [fly(call_of(patience=patience)) for patience in (30.0, None)]
    shows(flights, "2 followers")
    question.fail(kind("1 s"))
    assert isinstance(leader.error, kind)
    service.question().answer(b"slow")
    assert {follower.value.content for follower in patient} == {b"slow"}
    assert len(service.asked) == 2


def test_equal_impatience_shares_the_timeout(fly, flights: Flights, service: Service) -> None:
    callers = [fly(call_of(patience=30.0)) for _ in range(10)]
    shows(flights, "9 followers")
    service.question().fail(ReadTimeout("30 s"))
    assert {type(caller.error) for caller in callers} == {ReadTimeout}
    assert len({id(caller.error) for caller in callers}) == 10
    assert len(service.asked) == 1
    assert len(flights) == 0


def test_a_failure_that_is_no_matter_of_time_serves_the_patient_too(fly, flights, service) -> None:
    callers = [fly(call_of(patience=patience, deadline=1e9)) for patience in (10.0, 30.0, None)]
    shows(flights, "2 followers")
    service.question().fail(requests.ConnectionError("refused"))
    assert {type(caller.error) for caller in callers} == {requests.ConnectionError}
    assert len(service.asked) == 1


def test_a_timeout_serves_the_impatient_and_not_the_patient(fly, flights, service) -> None:
    leader = fly(call_of(patience=10.0))
    question = service.question()
    patient = [fly(call_of(patience=20.0)) for _ in range(3)]
    as_patient = [fly(call_of(patience=10.0)) for _ in range(3)]
    shows(flights, "6 followers")
    question.fail(ReadTimeout("10 s"))
    assert [type(one.error) for one in (leader, *as_patient)] == [ReadTimeout] * 4
    service.question().answer(b"slow")
    assert {one.value.content for one in patient} == {b"slow"}
    assert len(service.asked) == 2


@pytest.mark.parametrize("part", ["connect", "read"])
def test_so_does_either_part_of_a_timeout(part: str, fly, flights: Flights, service) -> None:
    def call(seconds: float | None) -> Call:
        timeout = (seconds, 9.0) if part == "connect" else (9.0, seconds)
        made = call_of(patience=timeout[1])
        made.arguments["timeout"] = timeout
        return made

    leader = fly(call(0.5))
    question = service.question()
    alike, patient = fly(call(0.5)), [fly(call(seconds)) for seconds in (5.0, None)]
    shows(flights, "3 followers")
    question.fail(requests.Timeout("0.5 s"))
    assert type(leader.error) is type(alike.error) is requests.Timeout
    service.question().answer(b"reached")
    assert {one.value.content for one in patient} == {b"reached"}


@pytest.mark.parametrize("nonsense", ["1", 0, -1, (60, 2, 3), ()])
def test_what_is_wrong_with_the_leaders_timeout_is_its_own_fault(
    nonsense, fly, flights: Flights, service: Service
) -> None:
    wrong = call_of()
    wrong.arguments["timeout"] = nonsense
    leader = fly(wrong)
    question = service.question()
    follower = fly(call_of(patience=30.0))
    shows(flights, "1 followers")
    question.fail(ValueError("timeout"))
    assert isinstance(leader.error, ValueError)
    service.question().answer(b"fine")
    assert follower.value.content == b"fine"


@pytest.mark.parametrize(
    ("own", "is_served"), [(1002.0, True), (1003.0, True), (1030.0, False), (None, False)]
)
@pytest.mark.parametrize("ending", ["error", 429, 500, 503])
def test_what_a_hurried_leader_could_not_ask_again_serves_those_in_a_hurry(
    own: float | None, is_served: bool, ending: str | int, fly, flights, service, fake_clock
) -> None:
    """With more time it might have got something better; so whoever has it asks."""
    leader = fly(call_of(deadline=fake_clock() + 2.0))
    question = service.question()
    follower = fly(call_of(deadline=own))
    shows(flights, "1 followers")
    if ending == "error":
        question.fail(requests.ConnectionError("reset"))
        assert isinstance(leader.error, requests.ConnectionError)
    else:
        question.answer(response(b"busy", ending))
        assert leader.value.content == b"busy"
    if not is_served:
        service.question().answer(b"better")
        assert follower.value.content == b"better"
    elif ending == "error":
        assert isinstance(follower.error, requests.ConnectionError)
    else:
        assert follower.value.content == b"busy"
    assert len(service.asked) == 2 - is_served
    assert len(flights) == 0


def test_a_good_answer_to_a_hurried_leader_serves_everybody(fly, flights, service) -> None:
    leader = fly(call_of(deadline=1e9))
    question = service.question()
    follower = fly()
    shows(flights, "1 followers")
    question.answer(b"good")
    assert leader.value.content == follower.value.content == b"good"
    assert len(service.asked) == 1


def test_a_follower_gives_up_at_its_own_timeout(fly, flights: Flights, service: Service) -> None:
    """D12, D14: and neither the leader nor the others notice."""
    leader = fly(call_of(patience=30.0))
    question = service.question()
    patient, hasty = fly(call_of(patience=30.0)), call_of(patience=0.05)
    with pytest.raises(ReadTimeout, match=r"no answer within 0\.05 s") as caught:
        flights.join(hasty, service)
    assert caught.value.__suppress_context__
    assert hasty.followed
    assert hasty.seat is None
    shows(flights, "1 in the air, 1 followers")
    question.answer(b"late")
    assert leader.value.content == patient.value.content == b"late"
    assert len(service.asked) == 1


@pytest.mark.parametrize("patience", [None, 30.0])
def test_a_follower_gives_up_at_its_deadline(patience, fly, flights, service, fake_clock) -> None:
    leader = fly()
    question = service.question()
    with pytest.raises(DeadlineExceeded, match="waiting for the leader"):
        flights.join(call_of(deadline=fake_clock() + 0.05, patience=patience), service)
    with pytest.raises(DeadlineExceeded):
        flights.join(call_of(deadline=fake_clock() - 1.0), service)
    question.answer()
    assert leader.value.ok
    assert len(service.asked) == 1


def test_it_waits_no_longer_than_it_would_for_its_own_request(flights: Flights) -> None:
    """D14: but as long as the leader does, if that is as patient: then they end together."""
    leader, alike, hasty, patient = [call_of(patience=one) for one in (10.0, 10.0, 5.0, 30.0)]
    for call in (leader, alike, hasty, patient):
        flights.board(call)
    assert [flights.bound(call) for call in (alike, hasty, patient)] == [None, 5.0, None]
    flights.leave(leader)
    flights.board_again(patient, patient.seat.landing.result(0))
    flights.board_again(alike, alike.seat.landing.result(0))
    assert patient.seat.leads
    assert flights.bound(alike) == 10.0


def test_a_deadline_in_a_thousand_years_is_waited_for(fly, flights, service) -> None:
    leader = fly()
    question = service.question()
    follower = fly(call_of(deadline=1e12))
    shows(flights, "1 followers")
    question.answer()
    assert leader.value.ok
    assert follower.value.ok


def test_a_follower_that_is_interrupted_leaves_the_others_alone(flights, fly, service) -> None:
    """D12"""
    leader = fly()
    question = service.question()
    other = fly()
    shows(flights, "1 followers")

    def interrupt() -> None:
        shows(flights, "2 followers")
        interrupt_main()

    Caller(interrupt)
    with pytest.raises(KeyboardInterrupt):
        flights.join(call_of(), service)
    shows(flights, "1 in the air, 1 followers")
    question.answer(b"calm")
    assert leader.value.content == other.value.content == b"calm"


# -- answers that are nobody else's --------------------------------------------------------------


@pytest.mark.parametrize("where", ["answer", "history"])
def test_an_answer_that_sets_a_cookie_is_not_shared_and_then_all_ask_at_once(
    where: str, fly, flights: Flights, service: Service
) -> None:
    callers = [fly() for _ in range(5)]
    shows(flights, "4 followers")
    personal = response(b"for one", Set_Cookie="sid=1")
    if where == "history":
        personal.history, personal = [personal], response(b"for one")
        personal.history = [response(Set_Cookie="sid=1")]
    service.question().answer(personal)
    own = [service.question() for _ in range(4)]  # all at once: none is answered before the last
    assert len(flights) == 0
    for number, question in enumerate(own):
        question.answer(b"own %d" % number)
    contents = sorted(caller.value.content for caller in callers)
    assert contents == [b"for one", b"own 0", b"own 1", b"own 2", b"own 3"]
    assert len(flights) == 0


def test_an_answer_chosen_by_a_header_that_is_not_in_the_key_serves_those_who_sent_the_same(
    fly, flights: Flights, service: Service
) -> None:
    browsers = ["a", "a", "b", "c"]
    callers = [fly(call_of(headers={"user-agent": browser})) for browser in browsers]
    question = service.question()
    shows(flights, "3 followers")
    question.answer(response(b"leader's", Vary="User-Agent"))
    alike = browsers.count(question.call.headers["user-agent"])
    for _ in range(4 - alike):
        service.question().answer(b"own")
    contents = sorted(caller.value.content for caller in callers)
    assert contents == [b"leader's"] * alike + [b"own"] * (4 - alike)
    assert len(flights) == 0


# -- what is out of date, and what is nested -----------------------------------------------------


def test_after_a_change_new_calls_start_anew_while_the_old_one_runs(fly, flights, service) -> None:
    """D7: and the old one's end does not remove the new one."""
    old = [fly() for _ in range(2)]
    shows(flights, "1 followers")
    before = service.question()
    flights.forget(URL)
    assert len(flights) == 0
    new = [fly() for _ in range(2)]
    after = service.question()
    shows(flights, "1 in the air, 1 followers")
    before.answer(b"old")
    assert {caller.value.content for caller in old} == {b"old"}
    shows(flights, "1 in the air, 1 followers")
    after.answer(b"new")
    assert {caller.value.content for caller in new} == {b"new"}
    assert len(service.asked) == 2
    assert len(flights) == 0


def test_a_forgotten_flight_is_still_handed_over(fly, flights: Flights, service: Service) -> None:
    leader, follower = fly(), None
    question = service.question()
    follower = fly()
    shows(flights, "1 followers")
    flights.forget(URL)
    question.fail(Panic())
    assert isinstance(leader.error, Panic)
    service.question().answer(b"second")
    assert follower.value.content == b"second"
    assert len(flights) == 0


@pytest.mark.parametrize("after", ["", "?page=2", "#top", "?page=2#top"])
@pytest.mark.parametrize(
    ("method", "status", "is_forgotten"),
    [("POST", 201, True), ("DELETE", 204, True), ("PUT", 409, False), ("OPTIONS", 200, False)],
)
def test_a_successful_unsafe_call_forgets_its_resource(
    method: str, status: int, is_forgotten: bool, after: str, fly, flights, service
) -> None:
    running = fly()
    question = service.question()
    changed = response(status=status)
    changed.request = requests.Request(method, URL + after).prepare()
    flights.join(Call(method, URL), lambda call: changed)
    assert len(flights) == (0 if is_forgotten else 1)
    question.answer()
    assert running.value.ok


def test_where_a_change_was_redirected_its_own_resource_is_forgotten(fly, flights, service) -> None:
    callers = [fly(), fly(call_of("other", resource="http://api.test/other"))]
    questions = [service.question() for _ in callers]
    changed = response()
    changed.request = requests.Request("GET", "http://api.test/other").prepare()
    changed.history = [response(status=303)]
    changed.history[0].request = requests.Request("POST", URL).prepare()
    flights.join(Call("POST", URL), lambda call: changed)
    assert [*flights._flying] == ["other"]
    for question in questions:
        question.answer()
    assert all(caller.value.ok for caller in callers)


def test_a_call_from_inside_a_flight_of_the_same_thread_asks_for_itself(
    flights: Flights, service: Service
) -> None:
    """D17: to follow would be to wait for oneself."""
    depths: list[int] = []

    def nested(call: Call) -> requests.Response:
        depths.append(len(flights))
        return flights.join(call_of(), nested) if len(depths) < 3 else response(b"inner")

    assert Caller(flights.join, call_of(), nested).value.content == b"inner"
    assert depths == [1, 1, 1]
    assert len(flights) == 0


def test_after_a_nested_call_the_thread_can_follow_again(fly, flights, service) -> None:
    flights.join(call_of(), lambda call: flights.join(call_of("other"), lambda _: response()))
    leader = fly()
    question = service.question()
    threading.Timer(0, lambda: (shows(flights, "1 followers"), question.answer(b"shared"))).start()
    assert flights.join(call_of(), service).content == b"shared"
    assert leader.value.content == b"shared"


# -- seats that are taken before -----------------------------------------------------------------


def test_a_seat_that_was_not_needed_is_handed_over(fly, flights: Flights, service) -> None:
    """As when the cache had the answer after all."""
    boarded = call_of()
    assert flights.board(boarded).leads
    follower = fly()
    shows(flights, "1 in the air, 1 followers")
    flights.leave(boarded)
    flights.leave(boarded)  # twice is once
    service.question().answer(b"asked after all")
    assert follower.value.content == b"asked after all"
    assert len(flights) == 0


def test_a_boarded_call_flies_on_another_thread(fly, flights: Flights, service: Service) -> None:
    boarded = call_of()
    seat = flights.board(boarded)
    follower = fly()
    shows(flights, "1 followers")
    leader = fly(boarded)
    service.question().answer(b"flown")
    assert leader.value.content == follower.value.content == b"flown"
    assert seat.leads
    assert boarded.seat is None
    assert len(service.asked) == 1


def test_every_seat_is_given_back(fly, flights: Flights, service: Service) -> None:
    calls = [call_of() for _ in range(3)]
    callers = [fly(call) for call in calls]
    shows(flights, "2 followers")
    service.question().answer()
    assert all(caller.value.ok for caller in callers)
    assert [call.seat for call in calls] == [None] * 3


def test_the_lock_is_not_held_while_the_service_is_asked(flights: Flights) -> None:
    def look(call: Call) -> requests.Response:
        return response(Caller(repr, flights).value.encode())

    assert b"1 in the air" in flights.join(call_of(), look).content


def test_after_a_fork_nobody_is_in_the_air(fly, flights: Flights, service: Service) -> None:
    """D18: as a child finds it whose parent had leaders, followers, and a thread with the lock."""
    leader = fly()
    question = service.question()
    followers = [flights.board(call_of()) for _ in range(2)]
    held, done = threading.Event(), threading.Event()
    other = Caller(lambda lock: (lock.acquire(), held.set(), done.wait(PATIENCE)), flights._lock)
    assert held.wait(PATIENCE)
    flights.reset_after_fork()
    assert len(flights) == 0
    mine = fly()
    service.question().answer(b"mine")
    assert mine.value.content == b"mine"
    question.answer(b"forked while it led")
    assert leader.value.content == b"forked while it led"
    assert not any(seat.landing.done() for seat in followers)  # their locks are the parent's, too
    done.set()
    assert other.value


def test_an_unsafe_answer_that_does_not_say_what_was_sent_forgets_by_the_call(
    flights: Flights,
) -> None:
    def answer(call: Call) -> requests.Response:
        response = requests.Response()
        response.status_code = 200
        assert response.request is None
        return response

    seen: list[str] = []
    flights.forget = seen.append  # type: ignore[method-assign]
    flights.join(Call("POST", "http://h/things?x=1"), answer)
    assert seen == ["http://h/things"]
