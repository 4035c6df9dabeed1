"""Laws of the log for machines: what has happened is in fields, and no secret is in any."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from browseros_api import CircuitOpenError, EnhancedAPIClient, Session, aio
from browseros_api.logs import FIELDS, EventLog
from browseros_api.testing import ApiServer, FakeClock, Reply

NAME = "browseros_api.events"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that is logged, whatever its level."""
    caplog.set_level(logging.DEBUG, logger=NAME)
    return caplog


@pytest.fixture
def client(api_server: ApiServer) -> Iterator[EnhancedAPIClient]:
    with EnhancedAPIClient(api_server.base_url, sleep=lambda _: None) as client:
        yield client


def told(log: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The fields of each record, in their order."""
    own = [vars(record) for record in log.records if record.name == NAME]
    return [{name: one[name] for name in FIELDS if name in one} for one in own]


def levels(log: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(vars(record)["event"], record.levelname) for record in log.records]


def test_what_happens_is_in_fields(
    log: pytest.LogCaptureFixture, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.script("/users/7", Reply(503), Reply(json=1))
    EventLog(client, name="users", level=logging.DEBUG)
    client.get("/users/7", params={"page": 2})
    first, retry, second, call = told(log)
    common = {
        "client": "users", "method": "GET", "endpoint": "/users/{id}",
        "url": api_server.url("/users/7?page=2"),
    }  # fmt: skip
    assert {**first, "seconds": 0} == {
        **common, "event": "attempt", "status": 503, "attempt": 1, "seconds": 0,
        "state": "processed", "circuit": "closed",
    }  # fmt: skip
    assert {**retry, "delay": 0} == {
        **common, "event": "retry", "status": 503, "attempt": 1, "delay": 0
    }  # fmt: skip
    assert (second["status"], second["attempt"]) == (200, 2)
    assert {**call, "seconds": 0} == {
        **common, "event": "call", "status": 200, "seconds": 0, "attempts": 2, "cache": "miss",
        "cache_reason": "a miss: nothing is kept for it", "dedup": "none", "circuit": "closed",
    }  # fmt: skip
    assert retry["delay"] > 0
    assert call["seconds"] >= first["seconds"] + second["seconds"] > 0
    message = log.records[-1].getMessage()
    assert message == f"GET /users/{{id}}: 200 in {call['seconds']:.3f} s"
    assert "attempt 1: 503, again in" in log.records[1].getMessage()


def test_levels_tell_good_from_bad(
    log: pytest.LogCaptureFixture, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.route("/missing", Reply(404))
    EventLog(client)
    client.get("/x")
    client.get("/x")
    with pytest.raises(requests.HTTPError):
        client.get("/missing")
    assert levels(log) == [("call", "INFO"), ("call", "INFO"), ("call", "WARNING")]
    assert [one.get("cache") for one in told(log)] == ["miss", "hit", "miss"]


def test_circuits_that_turn_are_told(
    log: pytest.LogCaptureFixture, api_server: ApiServer, fake_clock: FakeClock
) -> None:
    api_server.script("/x", Reply(500), Reply(json=1))
    options: Any = {"failure_threshold": 1, "max_retries": 0, "clock": fake_clock}
    with Session(**options, half_open_max_calls=1) as session:
        EventLog(session)
        session.get(api_server.url("/x"))
        with pytest.raises(CircuitOpenError):
            session.get(api_server.url("/x"))
        fake_clock.tick(61)
        session.get(api_server.url("/x"))
    turns = [(one["before"], one["circuit"]) for one in told(log) if one["event"] == "breaker"]
    assert turns == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]
    refused = [one for one in told(log) if one.get("error") == "CircuitOpenError"]
    assert [(one["event"], one["circuit"]) for one in refused] == [("call", "open")]
    assert [level for event, level in levels(log) if event == "breaker"] == [
        "WARNING",
        "INFO",
        "INFO",
    ]


def test_secrets_are_in_no_record(
    log: pytest.LogCaptureFixture, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.route("/x", Reply(reset="before"))
    EventLog(client, level=logging.DEBUG)
    with pytest.raises(requests.ConnectionError):
        client.get("/x", params={"token": "s3cret"}, headers={"Authorization": "Bearer s3cret"})
    assert len(told(log)) == 4 + 3 + 1
    assert "token=***" in told(log)[0]["url"]
    said = [(record.getMessage(), vars(record)) for record in log.records]
    assert "s3cret" not in repr(said)


def test_what_is_below_its_level_is_not_listened_to(client: EnhancedAPIClient) -> None:
    listeners = client.session.engine.listeners
    quiet = EventLog(client, level=logging.ERROR)
    assert not any([listeners.hear_calls, listeners.hear_attempts, listeners.hear_retries])
    usual = EventLog(client)
    assert listeners.hear_calls
    assert not listeners.hear_attempts
    talkative = EventLog(client, level=logging.DEBUG)
    assert listeners.hear_attempts
    for one in (quiet, usual, talkative):
        one.close()
    assert not any([listeners.hear_calls, listeners.hear_attempts, listeners.hear_retries])


def test_nothing_is_made_for_a_logger_that_does_not_want_it(
    caplog: pytest.LogCaptureFixture, client: EnhancedAPIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    EventLog(client, level=logging.DEBUG)
    caplog.set_level(logging.ERROR, logger=NAME)
    made: list[Any] = []
    monkeypatch.setattr(EventLog, "_write", lambda *arguments: made.append(arguments))
    client.get("/x")
    assert not made
    caplog.set_level(logging.INFO, logger=NAME)
    client.get("/x")
    assert [arguments[2] for arguments in made] == ["call"]


def test_levels_below_what_was_asked_for_are_left_out(
    log: pytest.LogCaptureFixture, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.script("/x", Reply(503), Reply(json=1))
    EventLog(client, level=logging.WARNING)
    client.get("/x")
    assert levels(log) == [("retry", "WARNING")]


def test_without_a_handler_nothing_is_shown(
    client: EnhancedAPIClient, api_server: ApiServer, capfd: pytest.CaptureFixture[str]
) -> None:
    api_server.script("/x", Reply(503), Reply(json=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger(), "handlers", [])
        EventLog(client)
        client.get("/x")
    assert capfd.readouterr() == ("", "")


def test_a_handler_that_fails_hurts_no_call(
    client: EnhancedAPIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ZeroDivisionError

    monkeypatch.setattr(logging.getLogger(NAME), "handlers", [Broken()])
    monkeypatch.setattr(logging.getLogger(NAME), "level", logging.DEBUG)
    EventLog(client)
    assert client.get("/x")["path"] == "/x"


def test_the_awaited_client_is_written_of_as_well(
    log: pytest.LogCaptureFixture, api_server: ApiServer
) -> None:
    async def main() -> None:
        async with aio.EnhancedAPIClient(api_server.base_url) as client:
            EventLog(client, name="awaited")
            await client.get("/x")

    asyncio.run(main())
    assert [(one["event"], one["client"]) for one in told(log)] == [("call", "awaited")]


@pytest.mark.parametrize("level", ["INFO", -1, 1.5, True])
def test_a_level_that_is_none_is_refused(client: EnhancedAPIClient, level: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="level must be"):
        EventLog(client, level=level)
    assert not client.session.engine.listeners.hear_calls


def test_fields_are_no_names_that_logging_has_taken() -> None:
    record = logging.makeLogRecord({})
    logging.Formatter("%(asctime)s %(message)s").format(record)
    assert not {*FIELDS} & {*vars(record)}
