"""Laws of timelines: each call is where it was, on the connection that it used, and masked."""

from __future__ import annotations

import io
import json
import pickle
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests
from requests.adapters import HTTPAdapter

from browseros_api import EnhancedAPIClient, Session
from browseros_api.testing import ApiServer, FakeClock, Reply, wait_until
from browseros_api.tracing.chart import charted
from browseros_api.tracing.lanes import Axis, Bar, said, spread
from browseros_api.tracing.strip import stripped

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def client(api_server: ApiServer) -> Iterator[EnhancedAPIClient]:
    with EnhancedAPIClient(api_server.base_url, sleep=lambda _: None) as client:
        yield client


def attempted(
    at: float, seconds: float = 1.0, *, connection: int | None = 1, status: int | None = 200,
    number: int = 1, state: str = "processed",
) -> dict[str, Any]:  # fmt: skip
    return {
        "number": number, "at": at, "seconds": seconds, "waited": 0.0, "status": status,
        "error": None if status else "ConnectionError", "state": state, "connection": connection,
        "decision": "", "hedged": None, "hedge_won": False,
    }  # fmt: skip


def called(*attempts: dict[str, Any], at: float = 0.0, **more: Any) -> dict[str, Any]:
    last = attempts[-1] if attempts else {"at": at, "seconds": 0.0, "status": None}
    return {
        "method": "GET", "url": "http://x/", "at": at, "error": None, "cache": "miss",
        "seconds": last["at"] + last["seconds"] - at, "status": last["status"], "dedup": "none",
        "attempts": list(attempts), **more,
    }  # fmt: skip


# -- what is in it -------------------------------------------------------------------------------


def test_calls_on_one_connection_are_on_its_lane_one_after_the_other(
    client: EnhancedAPIClient,
) -> None:
    for number in range(3):
        client.get(f"/echo?n={number}")
    plan = spread(client.timeline().calls)
    assert plan.lanes == ["connection 1"]
    for before, after in zip(plan.bars, plan.bars[1:], strict=False):
        assert before.at + before.seconds <= after.at
    assert {bar.kind for bar in plan.bars} == {"good"}


def test_calls_at_once_are_on_connections_of_their_own(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    go = threading.Event()
    api_server.route("/held/*", Reply(json=1, hold=go))
    calls = [client.submit("GET", f"/held/{number}") for number in range(3)]
    wait_until(lambda: client.get_stats()["connections"]["connections_in_use"] == 3)
    go.set()
    for call in calls:
        call.result(timeout=30)
    timeline = client.timeline()
    used = [one["attempts"][0]["connection"] for one in timeline.calls]
    assert sorted(used) == [1, 2, 3]
    assert spread(timeline.calls).lanes == ["connection 1", "connection 2", "connection 3"]


def test_no_connection_serves_two_calls_at_once(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.route("/*", Reply(json=1, delay=0.002))
    endpoints = [f"/items/{number}" for number in range(40)]
    list(client.get_many(endpoints, max_workers=4, use_cache=False))
    assert len(client.timeline()) == 40
    lanes: dict[str, list[Bar]] = {}
    for bar in spread(client.timeline().calls).bars:
        lanes.setdefault(bar.lane, []).append(bar)
    for bars in lanes.values():
        bars.sort(key=lambda bar: bar.at)
        middles = [bar.at + bar.seconds / 2 for bar in bars]
        assert all(a <= b.at + b.seconds for a, b in zip(middles, bars[1:], strict=False))


def test_who_waits_for_a_connection_is_on_its_lane_from_when_he_has_it(
    api_server: ApiServer,
) -> None:
    go = threading.Event()
    api_server.script("/held", Reply(json=1, hold=go))
    with EnhancedAPIClient(api_server.base_url, max_connections=1) as client:
        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(client.get, "/held")
            wait_until(lambda: client.get_stats()["connections"]["connections_in_use"] == 1)
            second = threads.submit(client.get, "/echo")
            wait_until(lambda: client.get_stats()["connections"]["waiting"] == 1)
            go.set()
            first.result(timeout=30)
            second.result(timeout=30)
        held, echo = client.timeline().calls
    assert echo["attempts"][0]["connection"] == held["attempts"][0]["connection"] == 1
    assert echo["attempts"][0]["waited"] > 0
    assert echo["attempts"][0]["at"] >= echo["at"] + echo["attempts"][0]["waited"]
    bar = spread([echo]).bars[0]
    assert bar.at == echo["attempts"][0]["at"]


def test_a_connection_that_is_opened_anew_has_a_new_number(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.script("/x", Reply(reset="before"), Reply(json=1))
    client.get("/x")
    (call,) = client.timeline().calls
    assert [one["connection"] for one in call["attempts"]] == [1, 2]
    assert [one["error"] for one in call["attempts"]] == ["ConnectionError", None]
    trace: Any = client.last_trace
    assert [one["connection_number"] for one in trace.to_dict()["attempts"]] == [1, 2]


def test_retries_are_linked_and_redirects_are_not(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.script("/flaky", Reply(503), Reply(json=1))
    api_server.route("/old", Reply(302, headers={"Location": "/echo"}))
    client.get("/flaky")
    client.get("/old")
    plan = spread(client.timeline().calls)
    assert [(a.kind, b.kind, b.number) for a, b in plan.links] == [("bad", "good", 2)]


def test_hits_and_followers_have_lanes_of_their_own(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    go = threading.Event()
    api_server.route("/held", Reply(json=1, hold=go))
    calls = [client.submit("GET", "/held") for _ in range(3)]
    wait_until(lambda: client.get_stats()["in_flight_requests"] == 3)
    wait_until(lambda: api_server.hits("/held") == 1)
    go.set()
    for call in calls:
        call.result(timeout=30)
    client.get("/held")
    plan = spread(client.timeline().calls)
    by_lane = {lane: [bar.kind for bar in plan.bars if bar.lane == lane] for lane in plan.lanes}
    assert by_lane["connection 1"] == ["good"]
    assert by_lane["cache"][-1] == "hit"
    assert len(by_lane["cache"]) + len(by_lane.get("followers", [])) == 3


def test_what_was_not_sent_is_on_no_connection(api_server: ApiServer) -> None:
    api_server.route("/down", Reply(503))
    with EnhancedAPIClient(api_server.base_url, max_retries=0) as client:
        for _ in range(6):
            with pytest.raises(requests.RequestException):
                client.get("/down")
        refused = client.timeline().calls[-1]
        plan = spread([refused])
    assert refused["error"] == "CircuitOpenError"
    assert plan.lanes == ["not sent"]
    assert [bar.kind for bar in plan.bars] == ["unsent"]
    with Session(max_retries=0) as session, pytest.raises(requests.ConnectionError):
        session.get("http://127.0.0.1:9/")
    assert spread(session.timeline().calls).lanes == ["not sent"]


def test_an_adapter_of_yours_has_lanes_without_numbers(api_server: ApiServer) -> None:
    with Session() as session:
        session.mount("http://", HTTPAdapter())
        for number in range(2):
            session.get(api_server.url(f"/echo?n={number}"))
        assert spread(session.timeline().calls).lanes == ["elsewhere 1"]


def test_calls_with_unknown_connections_are_packed_on_as_few_lanes_as_they_need() -> None:
    calls = [called(attempted(at, 2.0, connection=None), at=at) for at in (0.0, 1.0, 2.0, 3.0)]
    plan = spread(calls)
    assert plan.lanes == ["elsewhere 1", "elsewhere 2"]
    assert [bar.lane for bar in plan.bars] == [f"elsewhere {n}" for n in (1, 2, 1, 2)]


def test_many_connections_share_the_last_lane() -> None:
    plan = spread([called(attempted(0.0, connection=number)) for number in range(1, 101)])
    assert len(plan.lanes) == 41
    assert plan.lanes[-1] == "60 more"


def test_the_last_are_those_that_ended_last(client: EnhancedAPIClient) -> None:
    for number in range(5):
        client.get(f"/echo?n={number}")
    assert [one["url"][-1] for one in client.timeline(last=2).calls] == ["3", "4"]
    assert len(client.timeline()) == 5


def test_only_so_many_are_kept(client: EnhancedAPIClient) -> None:
    for _ in range(300):
        client.get("/echo")
    assert len(client.timeline(last=10_000)) == 256


@pytest.mark.parametrize(("last", "kind"), [(0, ValueError), (1.5, TypeError), (True, TypeError)])
def test_what_last_must_be_is_said(client: EnhancedAPIClient, last: Any, kind: type) -> None:
    with pytest.raises(kind, match="last must be"):
        client.timeline(last)


def test_times_are_those_of_the_clock(api_server: ApiServer) -> None:
    clock = FakeClock()
    with EnhancedAPIClient(api_server.base_url, clock=clock) as client:
        client.get("/echo")
        clock.tick(7.0)
        client.get("/echo")
        timeline = client.timeline()
    assert [one["at"] for one in timeline.calls] == [0.0, 7.0]
    assert [one["cache"] for one in timeline.calls] == ["miss", "hit"]
    assert timeline.seconds == 7.0


def test_a_child_process_begins_anew(client: EnhancedAPIClient) -> None:
    client.get("/echo")
    client.session.engine.reset_after_fork()
    assert len(client.timeline()) == 0
    client.get("/other")
    assert [one["attempts"][0]["connection"] for one in client.timeline().calls] == [1]


def test_a_client_and_its_session_have_the_same_one(client: EnhancedAPIClient) -> None:
    client.get("/echo")
    assert client.timeline().to_dict() == client.session.timeline().to_dict()


def test_no_header_and_no_body_is_in_it_and_secrets_are_masked(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.route("/*", Reply(json={"body": "b0dy"}, headers={"X-Told": "t0ld"}))
    for _ in range(2):
        client.get("/users?token=s3cret", headers={"X-Api-Key": "k3y"})
    timeline = client.timeline()
    shown = (str(timeline), timeline._repr_html_(), timeline.svg, repr(timeline))
    for text in (*shown, json.dumps(timeline.to_dict()), repr(pickle.dumps(timeline))):
        for secret in ("s3cret", "k3y", "b0dy", "t0ld"):
            assert secret not in text
    assert "token=***" in timeline.svg


def test_it_can_be_taken_along(client: EnhancedAPIClient) -> None:
    client.get("/echo")
    timeline = client.timeline()
    assert json.loads(json.dumps(timeline.to_dict())) == timeline.to_dict()
    copy = pickle.loads(pickle.dumps(timeline))
    assert copy.to_dict() == timeline.to_dict()
    client.get("/echo")
    assert len(timeline) == 1


# -- the axis ------------------------------------------------------------------------------------


def bar(at: float, seconds: float) -> Bar:
    return Bar("x", at, seconds, "good", 1, "")


def test_places_are_in_order_and_within_the_line() -> None:
    bars = [bar(0, 1), bar(0.5, 1), bar(100, 1), bar(5000, 2)]
    axis = Axis(bars, 5002.0, width=500, fold=30)
    assert axis.folds == [(1.5, 100), (101, 5000)]
    places = [axis.place(at) for at in (0, 0.5, 1.5, 50, 100, 101, 3000, 5000, 5002)]
    assert places == sorted(places)
    assert places[0] == 0
    assert places[-1] == pytest.approx(500)
    assert axis.place(100) - axis.place(1.5) == pytest.approx(30)


def test_short_pauses_are_not_folded() -> None:
    axis = Axis([bar(0, 1), bar(1.2, 1)], 2.2, width=220, fold=30)
    assert axis.folds == []
    assert axis.place(1.1) == pytest.approx(110)


def test_only_the_longest_pauses_are_folded() -> None:
    bars = [bar(number * (100 + number), 1) for number in range(12)]
    axis = Axis(bars, bars[-1].at + 1, width=800, fold=30)
    assert len(axis.folds) == 6
    assert axis.place(bars[-1].at + 1) == pytest.approx(800)


def test_a_line_without_any_length_has_no_place_but_its_beginning() -> None:
    assert Axis([bar(0, 0)], 0.0, width=100, fold=30).place(0.0) == 0


# -- how it is drawn -----------------------------------------------------------------------------


MIXED = [
    called(attempted(0.0, 0.5), at=0.0),
    called(attempted(0.5, 0.5, status=404), at=0.5),
    called(attempted(0.0, 0.4, connection=2, status=503),
           attempted(0.7, 0.3, connection=2, number=2), at=0.0),
    called(attempted(1.2, 0.1, connection=None, status=None, state="never-sent"), at=1.2,
           error="ConnectionError", status=None),
    called(at=1.1, cache="hit"),
    called(at=1.2, cache="stale"),
    called(at=1.0, dedup="follower"),
    called(at=1.3, error="CircuitOpenError"),
]  # fmt: skip


def test_a_timeline_is_said_in_a_sentence() -> None:
    assert said(MIXED, 1.4) == "8 calls in 1.40 s: 3 failed, 2 from the cache, 1 asked again"
    assert said(MIXED[:1], 0.5) == "1 call in 500 ms"
    assert said([], 0.0) == "no call has ended yet"


@pytest.mark.parametrize("width", [1, 40, 80, 133, 1000])
@pytest.mark.parametrize("plain", [True, False])
def test_no_line_is_longer_than_the_terminal_is_wide(width: int, plain: bool) -> None:
    text = stripped(MIXED, 1.4, width=width, plain=plain)
    assert max(map(len, text.splitlines())) <= min(max(width, 35), 160)
    assert text.isascii() is plain
    rows = [line for line in text.splitlines() if line.endswith("|" if plain else "│")]
    assert len({len(row) for row in rows}) == 1
    assert [row.split("|" if plain else "│")[0].strip() for row in rows] == [
        "cache", "followers", "connection 1", "connection 2", "not sent",
    ]  # fmt: skip


def test_the_terminal_tells_outcomes_apart() -> None:
    rows = {line[:13].strip(): line for line in stripped(MIXED, 1.4, width=100).splitlines()}
    assert "█" in rows["connection 1"]
    assert "▓" in rows["connection 1"]
    assert "×" in rows["connection 2"]
    assert "↻" in rows["connection 2"]
    assert "•" in rows["cache"]
    assert "○" in rows["cache"]
    assert "░" in rows["followers"]
    assert "!" in rows["not sent"]


def test_where_there_are_no_blocks_it_is_drawn_in_ascii(
    client: EnhancedAPIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get("/echo")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert str(client.timeline()).isascii()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert "█" in str(client.timeline())


def test_what_is_folded_is_said_in_the_terminal_and_in_the_picture() -> None:
    calls = [called(attempted(at, 0.5), at=at) for at in (0.0, 1000.0)]
    assert "…" in stripped(calls, 1000.5, width=100, plain=False)
    assert "~999.50 s" in stripped(calls, 1000.5, width=100, plain=True)
    assert "no call for 999.50 s" in charted(calls, 1000.5)


def test_words_below_the_line_do_not_touch_each_other() -> None:
    calls = [called(attempted(at, 0.5), at=at) for at in (0.0, 1000.0, 2000.0, 3000.0)]
    foot = stripped(calls, 3000.5, width=40, plain=True).splitlines()[-2]
    assert foot.endswith(" 3000.50 s")
    assert "s~" not in foot


def test_an_attempt_of_one_column_that_failed_is_shown_as_failed() -> None:
    again = called(attempted(0, 1e-6, status=503), attempted(5, 1e-6, status=503, number=2))
    row = stripped([again], 10.0, width=80, plain=True).splitlines()[2]
    assert row.count("x") == 2
    assert "r" not in row


def test_the_picture_is_well_formed_and_has_a_bar_for_each_attempt() -> None:
    root = ET.fromstring(charted(MIXED, 1.4))
    tips = [one.text or "" for one in root.iter(f"{SVG}title")]
    assert sum(tip.startswith("GET http://x/: ") for tip in tips) == 9
    words = {one.text for one in root.iter(f"{SVG}text")}
    assert {"cache", "followers", "connection 1", "connection 2", "not sent"} <= words
    assert {"answered", "4xx", "failed", "from the cache", "asked again"} <= words


def test_no_bar_begins_outside_of_the_picture() -> None:
    for calls in (MIXED, MIXED[:1], MIXED[-4:]):
        root = ET.fromstring(charted(calls, 1.4))
        width = float(root.get("width", "0"))
        for shape in root.iter(f"{SVG}rect"):
            assert 0 <= float(shape.get("x", "0")) < width
            assert float(shape.get("width", "0")) > 0


def test_a_timeline_of_nothing_is_drawn_too(client: EnhancedAPIClient) -> None:
    timeline = client.timeline()
    assert str(timeline) == "no call has ended yet"
    assert "no call has ended yet" in (ET.fromstring(timeline.svg).findtext(f"{SVG}text") or "")


def test_nothing_in_the_picture_is_code(client: EnhancedAPIClient) -> None:
    client.get("/echo?<script>alert(1)</script>&a='\"")
    timeline = client.timeline()
    for picture in (timeline._repr_html_(), timeline._repr_svg_()):
        root = ET.fromstring(picture)
        assert not list(root.iter(f"{SVG}script"))
        assert not [name for one in root.iter() for name in one.attrib if name.startswith("on")]


def test_a_file_of_its_own_asks_what_its_reader_prefers(client: EnhancedAPIClient) -> None:
    client.get("/echo")
    timeline = client.timeline()
    assert "prefers-color-scheme:dark" in timeline.svg
    assert "<style>" not in timeline._repr_html_()
    assert 'fill="currentColor"' in timeline._repr_html_()


def test_calls_that_are_made_meanwhile_do_not_disturb(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            client.get("/echo")

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(ask) for _ in range(4)]
        try:
            for _ in range(100):
                assert len(client.timeline(last=50)) <= 50
        finally:
            stop.set()
        for one in asking:
            one.result(timeout=30)
