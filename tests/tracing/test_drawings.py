"""Laws of drawings: as wide as the terminal, well-formed, and nothing in them is code."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests

from browseros_api import Session
from browseros_api.testing import ApiServer, Reply
from browseros_api.tracing.rows import told_bytes, told_time
from browseros_api.tracing.trace import Trace
from browseros_api.tracing.waterfall import drawn

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(sleep=lambda _: None) as session:
        yield session


@pytest.fixture
def trace(session: Session, api_server: ApiServer) -> Trace:
    api_server.script("/x", Reply(503), Reply(json=list(range(1000)), headers={"ETag": '"1"'}))
    return trace_of(session, api_server.url("/x"))


def trace_of(session: Session, url: str, **arguments: Any) -> Trace:
    found: Any = session.get(url, **arguments)
    assert isinstance(found.trace, Trace)
    return found.trace


# -- in the terminal -----------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 54, 80, 133, 1000])
def test_no_line_is_longer_than_the_terminal_is_wide(trace: Trace, width: int) -> None:
    lines = drawn(trace.to_dict(), width=width, plain=False).splitlines()
    assert max(map(len, lines)) <= min(max(width, 54), 160)
    bars = [line for line in lines if line.endswith("│")]
    assert len({len(line) for line in bars}) == 1
    assert len(bars) >= 4


def test_it_is_as_wide_as_the_terminal(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in (60, 120):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert max(map(len, str(trace).splitlines())) == columns


def test_it_says_what_happened_in_words(trace: Trace) -> None:
    text = drawn(trace.to_dict(), width=100, plain=False)
    assert "200 OK" in text
    assert "2 attempts" in text
    assert "a miss: nothing is kept for it" in text
    assert "attempt 1: 503, again in " in text
    assert "attempt 2: 200, connection reused" in text


def test_where_there_are_no_blocks_it_is_drawn_in_ascii(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert str(trace).isascii()
    assert "#" in str(trace)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert "█" in str(trace)


def test_it_is_plain_text(trace: Trace) -> None:
    assert all(char.isprintable() or char == "\n" for char in str(trace))


def test_a_hit_is_drawn_without_bars(session: Session, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json=1, headers={"Cache-Control": "max-age=60"}))
    hit = [trace_of(session, api_server.url("/x")) for _ in range(2)][1]
    assert len(str(hit).splitlines()) == 3
    assert "rect" in hit._repr_html_()
    assert len(hit.to_har()["log"]["entries"]) == 1


# -- in a notebook -------------------------------------------------------------------------------


def test_it_is_well_formed_and_loads_nothing(trace: Trace) -> None:
    root = ET.fromstring(trace._repr_html_())
    assert root.tag == f"{SVG}svg"
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "title", "text", "rect", "line"}
    names = {name for element in root.iter() for name in element.attrib}
    assert not [name for name in names if name.startswith("on") or "href" in name]


def test_it_takes_the_colour_of_the_page(trace: Trace) -> None:
    root = ET.fromstring(trace._repr_html_())
    assert root.attrib["fill"] == "currentColor"
    assert not [one for one in root.iter(f"{SVG}text") if "fill" in one.attrib]


def test_all_of_it_is_within_the_picture(trace: Trace) -> None:
    root = ET.fromstring(trace._repr_html_())
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for shape in root.iter(f"{SVG}rect"):
        assert float(shape.attrib["x"]) >= 0
        assert float(shape.attrib["x"]) + float(shape.attrib["width"]) <= width
        assert float(shape.attrib["y"]) + float(shape.attrib["height"]) <= height


def test_what_a_server_or_a_url_says_is_no_markup_and_no_command(
    session: Session, api_server: ApiServer
) -> None:
    api_server.route("/x", Reply(json=1, headers={"X-A": "<script>"}))
    trace = trace_of(session, api_server.url("/x"), params={"q": "<script>'\"&]]>"})
    trace._url += "<script>alert(1)</script>\x1b[2J\u202e"  # requests would have quoted it
    root = ET.fromstring(trace._repr_html_())
    assert "script" not in {element.tag.removeprefix(SVG) for element in root.iter()}
    assert "<script>alert(1)</script>" in "".join(root.itertext())
    assert "\x1b" not in str(trace) + trace._repr_html_()
    assert "\u202e" not in str(trace) + trace._repr_html_()


# -- as an archive -------------------------------------------------------------------------------

# The fields that HAR 1.2 (softwareishard.com/blog/har-12-spec) demands, and what they may be.
Shape = dict[str, Any]
PAIR: Shape = {"name": str, "value": str}
HAR: Shape = {
    "log": {
        "version": str,
        "creator": {"name": str, "version": str},
        "pages": [
            {"startedDateTime": datetime, "id": str, "title": str, "pageTimings": {"onLoad": float}}
        ],
        "entries": [
            {
                "pageref": str,
                "startedDateTime": datetime,
                "time": float,
                "request": {
                    "method": str, "url": str, "httpVersion": str, "cookies": [PAIR],
                    "headers": [PAIR], "queryString": [PAIR], "headersSize": int, "bodySize": int,
                },
                "response": {
                    "status": int, "statusText": str, "httpVersion": str, "cookies": [PAIR],
                    "headers": [PAIR], "content": {"size": int, "mimeType": str},
                    "redirectURL": str, "headersSize": int, "bodySize": int,
                },
                "cache": {},
                "timings": dict.fromkeys(
                    ("blocked", "dns", "connect", "ssl", "send", "wait", "receive"), float
                ),
            }
        ],
    }
}  # fmt: skip


def check(value: Any, shape: Any, where: str = "har") -> None:
    if isinstance(shape, dict):
        assert isinstance(value, dict), where
        for name, inner in shape.items():
            assert name in value, f"{where}.{name}"
            check(value[name], inner, f"{where}.{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        for index, one in enumerate(value):
            check(one, shape[0], f"{where}[{index}]")
    elif shape is datetime:
        assert datetime.fromisoformat(value).tzinfo is not None, where
    else:
        kinds = (int, float) if shape is float else shape
        assert isinstance(value, kinds), where


def test_an_archive_has_all_that_the_format_demands(
    session: Session, api_server: ApiServer, trace: Trace
) -> None:
    api_server.route("/old", Reply(302, headers={"Location": "/x?a=1&b="}))
    api_server.route("/lost", Reply(reset="before"))
    redirected = trace_of(session, api_server.url("/old"))
    with pytest.raises(requests.ConnectionError) as caught:
        session.get(api_server.url("/lost"), timeout=10)
    lost: Any = caught.value
    for one in (trace, redirected, lost.trace):
        archive = json.loads(json.dumps(one.to_har()))
        check(archive, HAR)
        assert len(archive["log"]["entries"]) == len(one.attempts)
    entries = redirected.to_har()["log"]["entries"]
    assert entries[0]["response"]["redirectURL"] == "/x?a=1&b="
    assert entries[1]["request"]["queryString"] == [
        {"name": "a", "value": "1"}, {"name": "b", "value": ""}
    ]  # fmt: skip
    assert lost.trace.to_har()["log"]["entries"][0]["response"]["status"] == 0


def test_the_times_of_an_entry_add_up(trace: Trace) -> None:
    for entry in trace.to_har()["log"]["entries"]:
        timings = {name: value for name, value in entry["timings"].items() if name != "ssl"}
        assert entry["time"] == pytest.approx(sum(value for value in timings.values() if value > 0))
        assert entry["timings"]["send"] >= 0
        assert entry["timings"]["wait"] >= 0


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (2e-5, "20 µs"),
        (0.0012, "1.2 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (75.0, "75.00 s"),
    ],
)
def test_times_are_told_in_the_unit_that_suits(seconds: float, told: str) -> None:
    assert told_time(seconds) == told


@pytest.mark.parametrize(
    ("count", "told"),
    [(999, "999 B"), (1234, "1.23 kB"), (999_400, "999 kB"), (999_600, "1 MB"), (2e6, "2 MB")],
)
def test_sizes_are_told_in_the_unit_that_suits(count: int, told: str) -> None:
    assert told_bytes(count) == told
