"""Laws of cards: what they are of stays what it is, nothing in them is code, secrets stay out."""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
import requests

from browseros_api import EnhancedAPIClient, Session, aio
from browseros_api.cards.facts import facts, lines, told_age, told_circuit
from browseros_api.cards.shown import answers_card, circuits_card, figures_card
from browseros_api.seeing import CircuitStates, Figures
from browseros_api.testing import ApiServer, FakeClock, Reply

EVIL = "<script>alert(1)</script>"
VOID = {"br", "hr", "img", "input", "meta", "link"}


class Read(HTMLParser):
    """The elements and the text of a piece of HTML that is closed where it is opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.styles: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names.update(name for name, _ in attrs)
        self.styles += [value or "" for name, value in attrs if name == "style"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def client(api_server: ApiServer) -> Iterator[EnhancedAPIClient]:
    api_server.route("/users", Reply(json=[1, 2, 3]))
    api_server.script("/flaky", Reply(503), Reply(json=1))
    api_server.route("/down", Reply(503))
    with EnhancedAPIClient(api_server.base_url, sleep=lambda _: None) as client:
        yield client


def used(client: EnhancedAPIClient) -> EnhancedAPIClient:
    """A client to which all kinds of things have happened."""
    for _ in range(3):
        client.get("/users", params={"token": "s3cret", "q": EVIL})
    client.get("/flaky")
    for _ in range(2):
        with pytest.raises(requests.RequestException):
            client.get("/down")
    return client


def cards_of(client: Any) -> list[str]:
    things = [client, client.session, client.get_stats(), client.get_circuit_breaker_status()]
    return [thing._repr_html_() for thing in [*things, client.cache]]


# -- what they are of ----------------------------------------------------------------------------


def test_figures_and_states_of_circuits_are_still_plain_dictionaries_to_everybody(
    client: EnhancedAPIClient,
) -> None:
    used(client)
    for read, kind in (
        (client.get_stats, Figures),
        (client.get_circuit_breaker_status, CircuitStates),
        (client.session.get_stats, Figures),
        (client.session.get_circuit_breaker_status, CircuitStates),
    ):
        found: Any = read()
        plain = dict(found)
        assert type(found) is kind
        assert found == plain
        assert repr(found) == repr(plain)
        assert json.loads(json.dumps(found)) == json.loads(json.dumps(plain))
        copy = pickle.loads(pickle.dumps(found))
        assert copy == plain
        assert copy._repr_html_() == found._repr_html_()


def test_a_subclass_of_session_has_a_card_under_its_own_name() -> None:
    class Ours(Session):
        pass

    with Ours() as session:
        assert Read(session._repr_html_()).text.startswith("Ours")


# -- what they tell ------------------------------------------------------------------------------


def test_the_card_of_a_client_tells_how_it_went(client: EnhancedAPIClient) -> None:
    text = Read(used(client)._repr_html_()).text
    assert text.startswith(f"EnhancedAPIClient {client.base_url}")
    stats = client.get_stats()
    for words in (
        "calls 6",
        "success 66.7% 2 failed",
        "hit rate 33.3% 2 hits, 0 followed",
        f"rescued 1 {stats['retries']} retries",
        "in flight 0 0 waiting",
        "latency p50",
        "latency p95",
        "latency p99",
        "answers 2 kept",
        "/down open, 5 failures, the last 0 s ago",
        "/flaky closed",
    ):
        assert words in text, (words, text)
    assert "≈" in text


def test_what_the_cache_has_saved_is_its_hits_times_the_average() -> None:
    with Session() as session:
        figures = {**session.get_stats(), "cached_responses": 30, "average_latency_ms": 50.0}
    saved = next(one for one in facts(figures) if one.name == "time saved")
    assert saved.value == "≈ 1.50 s"


def test_before_the_first_call_there_is_a_card_without_rates(client: EnhancedAPIClient) -> None:
    text = Read(client._repr_html_()).text
    assert "success –" in text
    assert "hit rate –" in text
    assert "latency" not in text
    assert "endpoint" not in text
    assert "no endpoint was asked yet" in client.get_circuit_breaker_status()._repr_html_()  # type: ignore[attr-defined]


def test_calls_in_flight_are_on_the_card_while_they_are(api_server: ApiServer) -> None:
    go = threading.Event()
    api_server.route("/slow", Reply(json=1, hold=go))
    with EnhancedAPIClient(api_server.base_url) as client:
        call = client.submit("GET", "/slow")
        try:
            while client.get_stats()["in_flight_requests"] == 0:
                assert not call.done()
            assert "in flight 1" in Read(client._repr_html_()).text
        finally:
            go.set()
        call.result(timeout=30)


def test_a_closed_client_says_so(client: EnhancedAPIClient) -> None:
    assert "(closed)" not in client._repr_html_()
    client.close()
    assert "(closed)" in client._repr_html_()


def test_the_awaited_client_has_the_same_cards(api_server: ApiServer) -> None:
    async def asked() -> aio.EnhancedAPIClient:
        async with aio.EnhancedAPIClient(api_server.base_url) as client:
            await client.get("/echo")
        return client

    client = asyncio.run(asked())
    assert "calls 1" in Read(client._repr_html_()).text
    assert client.get_stats() == client.session.get_stats()
    assert client.get_circuit_breaker_status()["/echo"]["state"] == "closed"
    assert [one["method"] for one in client.timeline().calls] == ["GET"]


def test_the_worst_circuits_come_first() -> None:
    states = {
        name: {"state": state, "failure_count": 0, "last_failure_time": None}
        for name, state in (("/a", "closed"), ("/b", "half_open"), ("/c", "open"), ("/d", "odd"))
    }
    text = Read(circuits_card(states, now=0.0)).text
    places = [text.index(name) for name in ("/c", "/b", "/a")]
    assert places == sorted(places)
    assert "1 closed, 1 half-open, 1 open" in text


def test_all_figures_can_be_unfolded(client: EnhancedAPIClient) -> None:
    stats = client.get_stats()
    shown = Read(figures_card(stats))
    assert "details" in shown.tags
    for name, value in stats.items():
        names = value if isinstance(value, dict) else [name]
        assert all(one in shown.text for one in names)


def test_the_card_of_the_cache_shows_what_is_kept(api_server: ApiServer) -> None:
    clock = FakeClock()
    api_server.route("/*", Reply(json=1))
    with EnhancedAPIClient(api_server.base_url, clock=clock, cache_ttl=200.0) as client:
        for number in range(25):
            client.get(f"/users/{number}")
        clock.tick(60)
        text = Read(client.cache._repr_html_()).text
        assert "25 keys" in text
        assert "0.0% of the calls were answered from it" in text
        assert f"{client.base_url}/users/0 200" in text
        assert "60 s" in text
        assert "2 min" in text
        assert "/users/24" not in text
        assert text.endswith("and 5 more")
        client.cache.clear()
        assert "0 keys" in Read(client.cache._repr_html_()).text


def test_an_answer_whose_time_is_over_is_shown_as_stale(client: EnhancedAPIClient) -> None:
    client.get("/users")
    (answer,) = client.cache
    stale = type(answer)(**{**vars(answer), "fresh_for": -90.0})
    assert "stale since 90 s" in Read(answers_card([stale], count=1, size=10, hit_rate=None)).text


def test_what_happens_seldom_is_told_only_if_it_has_happened(client: EnhancedAPIClient) -> None:
    assert [name for name, _ in lines(client.get_stats())] == ["connections", "answers"]
    with pytest.raises(requests.ConnectionError):
        used(client).get("/down")
    assert lines(client.get_stats())[-1] == ("besides", "1 refused by open circuits")


def test_a_store_that_is_not_memory_is_named(api_server: ApiServer, tmp_path: Any) -> None:
    with Session(store=f"sqlite:///{tmp_path / 'kept.db'}") as session:
        session.get(api_server.url("/echo"))
        assert dict(lines(session.get_stats()))["answers"].endswith("(sqlite: up)")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1.0, "0 s"), (59.6, "60 s"), (119.0, "119 s"), (120.0, "2 min"), (7300.0, "2 h"),
     (200_000.0, "2 d")],
)  # fmt: skip
def test_ages_are_told_in_the_unit_that_suits(seconds: float, words: str) -> None:
    assert told_age(seconds) == words


def test_a_circuit_is_told_in_words() -> None:
    state = {"state": "half_open", "failure_count": 1, "last_failure_time": 100.0}
    assert told_circuit(state, now=130.0) == "half-open, 1 failure, the last 30 s ago"
    assert told_circuit({**state, "last_failure_time": None}, now=0.0) == "half-open, 1 failure"


# -- what they must not do -----------------------------------------------------------------------


def test_a_url_is_text_in_every_card_and_its_secrets_are_masked(
    client: EnhancedAPIClient,
) -> None:
    for card in cards_of(used(client)):
        shown = Read(card)
        assert not {"script", "style", "iframe", "img", "link", "object"} & shown.tags
        assert "s3cret" not in card
    assert "%3Cscript%3E" in client.cache._repr_html_()


def test_names_of_endpoints_and_of_clients_are_text() -> None:
    def named(*_: str) -> str:
        return f"https://me:pw@x/?token=s3cret&{EVIL}"

    with ApiServer() as server, Session(endpoint_key=named) as session:
        session.get(server.url("/echo"))
        card = session._repr_html_()
        assert "script" not in Read(card).tags
        assert "s3cret" not in card
        assert "pw@" not in card
    kind = type(f"Client{EVIL}", (Session,), {})
    assert "script" not in Read(kind()._repr_html_()).tags


def test_the_password_in_a_base_url_is_masked() -> None:
    with EnhancedAPIClient("https://me:pw@api.example.com/v1") as client:
        assert "pw@" not in client._repr_html_()
        assert "***@api.example.com/v1" in client._repr_html_()


def test_cards_run_nothing_and_load_nothing(client: EnhancedAPIClient) -> None:
    for card in cards_of(used(client)):
        shown = Read(card)
        assert not any(name.startswith("on") for name in shown.names)
        assert not {"src", "href"} & shown.names
        assert "url(" not in card


def test_the_text_of_cards_has_the_colour_of_the_page(client: EnhancedAPIClient) -> None:
    for card in cards_of(used(client)):
        outermost = Read(card).styles[0]
        assert "color:var(--jp-content-font-color1,inherit)" in outermost
        assert "background" not in outermost


def test_cards_cost_nothing_before_they_are_looked_at() -> None:
    code = (
        "import sys, browseros_api as b; s = b.Session(); b.EnhancedAPIClient('http://x').get_stats()"
        "; assert not [m for m in sys.modules if m.startswith('browseros_api.cards')], sys.modules"
        "; s._repr_html_(); assert 'browseros_api.cards.shown' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
