"""vcrpy: what passes is recorded, and what was recorded is played, below the policies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import vcr
from vcr.errors import CannotOverwriteExistingCassetteException

from browseros_api import Session, api
from browseros_api.testing import ApiServer, Reply
from tests.compat.laws import OK, Laws, Said, Stage
from tests.compat.server_stage import Served


@pytest.fixture
def tape(tmp_path: Path) -> str:
    return str(tmp_path / "tape.yaml")


@pytest.fixture
def stage(api_server: ApiServer, tape: str) -> Iterator[Stage]:
    """Recording."""
    with vcr.use_cassette(tape):
        yield Served(api_server)


class TestPolicies(Laws):
    pass


def test_a_failure_that_was_recorded_is_asked_again_when_it_is_played(
    tape: str, session: Session
) -> None:
    with ApiServer() as server:
        stage = Served(server)
        stage.script("/flaky", Said(503), OK)
        with vcr.use_cassette(tape):
            assert session.get(stage.url("/flaky")).ok
    with Session(retry_base_delay=0.01) as later, vcr.use_cassette(tape) as cassette:
        assert later.get(stage.url("/flaky")).json() == {"ok": True}
        assert later.get_stats()["retries"] == 1
    assert cassette.play_count == 2
    assert cassette.all_played


@pytest.mark.parametrize("recorder", [requests.Session, Session])
def test_a_tape_of_one_is_played_to_the_other(
    recorder: type[requests.Session], tape: str, either: requests.Session
) -> None:
    def talk(session: requests.Session) -> list[object]:
        found = session.get(f"{base}/users", params={"page": 1})
        made = session.post(f"{base}/users", json={"name": "Ada"})
        whole = session.get(f"{base}/large", stream=True)
        return [found.json(), made.json(), made.request.body, len(b"".join(whole.iter_content(7)))]

    with ApiServer() as server, recorder() as recording, vcr.use_cassette(tape):
        base = server.base_url
        server.route("/users", Reply(json=[{"id": 1}]), method="GET")
        server.route("/users", Reply(201, json={"id": 2}), method="POST")
        server.route("/large", Reply(body=b"x" * 10_000, chunked=True))
        said = talk(recording)
    with vcr.use_cassette(tape, record_mode="none") as cassette:
        assert talk(either) == said
    assert cassette.all_played


def test_what_is_not_on_the_tape_says_so_and_is_not_sent(
    tape: str, either: requests.Session, api_server: ApiServer
) -> None:
    with (
        vcr.use_cassette(tape, record_mode="none"),
        pytest.raises(CannotOverwriteExistingCassetteException),
    ):
        either.get(api_server.url("/x"))
    assert api_server.requests == []


def test_secrets_stay_off_the_tape(
    tape: str, either: requests.Session, api_server: ApiServer
) -> None:
    api_server.route("/x", Reply(json="real"))
    with vcr.use_cassette(tape, filter_headers=["authorization"]):
        either.get(api_server.url("/x"), headers={"Authorization": "Bearer s3cret"})
    assert "s3cret" not in Path(tape).read_text("utf-8")
    assert api_server.requests[0].headers["Authorization"] == "Bearer s3cret"


def test_the_decorator_works_as_with_requests(
    tape: str, either: requests.Session, api_server: ApiServer
) -> None:
    @vcr.use_cassette(tape)
    def what_people_write() -> object:
        return either.get(api_server.url("/x")).json()["path"]

    assert [what_people_write(), what_people_write()] == ["/x", "/x"]
    assert api_server.hits("/x") == 1


def test_afterwards_everything_is_as_before(
    tape: str, session: Session, api_server: ApiServer
) -> None:
    assert session.get(api_server.url("/x")).ok  # leaves a connection, which is not the tape's
    with vcr.use_cassette(tape):
        assert session.get(api_server.url("/x")).ok
    with vcr.use_cassette(tape) as cassette:
        assert session.get(api_server.url("/x")).ok
    assert (cassette.play_count, api_server.hits("/x")) == (1, 2)
    assert session.get(api_server.url("/x")).ok
    assert api.get(api_server.url("/x")).ok
    assert api_server.hits("/x") == 4
    assert session.get_stats()["connections"]["connections_in_use"] == 0
