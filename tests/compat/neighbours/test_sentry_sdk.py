"""sentry-sdk: breadcrumbs, spans and trace headers of what goes out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import sentry_sdk
from sentry_sdk.transport import Transport

from browseros_api import Session
from browseros_api.testing import ApiServer, Reply


class Mailbox(Transport):
    """Where events go instead of a server."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []

    def capture_envelope(self, envelope: Any) -> None:
        self.events += [item.payload.json for item in envelope.items if item.payload.json]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    sentry_sdk.init(
        "http://public@127.0.0.1:1/1",
        transport=mailbox,
        traces_sample_rate=1.0,
        auto_enabling_integrations=False,
        auto_session_tracking=False,
    )
    yield mailbox
    sentry_sdk.get_client().close(timeout=0)
    sentry_sdk.init()  # without a place to send to: off


def crumbs(event: Any) -> list[tuple[str, int]]:
    return [
        (crumb["data"]["url"].rpartition("/")[2], crumb["data"]["http.response.status_code"])
        for crumb in event["breadcrumbs"]["values"]
        if crumb.get("type") == "http"
    ]


def test_every_attempt_leaves_a_crumb(
    mailbox: Mailbox, session: Session, api_server: ApiServer
) -> None:
    api_server.script("/flaky", Reply(503), Reply(json=1))
    with sentry_sdk.isolation_scope():
        assert session.get(api_server.url("/flaky")).json() == 1
        sentry_sdk.capture_message("look")
    assert crumbs(mailbox.events[0]) == [("flaky", 503), ("flaky", 200)]


def test_a_call_is_in_the_trace_and_the_server_hears_of_it(
    mailbox: Mailbox, either: requests.Session, api_server: ApiServer
) -> None:
    api_server.route("/x", Reply(json=1))
    with sentry_sdk.start_transaction(name="job") as job:
        assert either.get(api_server.url("/x")).json() == 1
    (event,) = mailbox.events
    assert [span["op"] for span in event["spans"]] == ["http.client"]
    assert job.trace_id in api_server.requests[0].headers["sentry-trace"]


def test_trace_headers_do_not_keep_answers_apart(
    mailbox: Mailbox, session: Session, api_server: ApiServer
) -> None:
    api_server.route("/kept", Reply(json=1, headers={"Cache-Control": "max-age=60"}))
    for name in ("one", "two"):
        with sentry_sdk.start_transaction(name=name):
            assert session.get(api_server.url("/kept")).json() == 1
    assert api_server.hits("/kept") == 1
    assert len(mailbox.events) == 2
