"""betamax: an adapter that records and plays, mounted for a while."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from betamax import Betamax
from betamax.exceptions import BetamaxError

from browseros_api import Session
from browseros_api.testing import ApiServer, Reply
from tests.compat.laws import OK, Laws, Said, Stage
from tests.compat.server_stage import Served

# It asks for the time in a way that Python 3.12 and later warn of.
pytestmark = pytest.mark.filterwarnings(r"ignore:datetime\.datetime\.utc:DeprecationWarning")


@pytest.fixture
def stage(api_server: ApiServer, session: Session, tmp_path: Path) -> Iterator[Stage]:
    """Recording."""
    with Betamax(session, cassette_library_dir=str(tmp_path)).use_cassette("tape"):
        yield Served(api_server)


class TestPolicies:
    test_a_503_is_asked_again = Laws.test_a_503_is_asked_again
    test_identical_calls_at_once_become_one = Laws.test_identical_calls_at_once_become_one
    test_a_stream_is_read_by_the_caller = Laws.test_a_stream_is_read_by_the_caller
    test_a_fresh_answer_is_kept = Laws.test_a_fresh_answer_is_kept


def test_a_failure_that_was_recorded_is_asked_again_when_it_is_played(
    session: Session, tmp_path: Path
) -> None:
    with ApiServer() as server:
        stage = Served(server)
        stage.script("/flaky", Said(503), OK)
        with Betamax(session, cassette_library_dir=str(tmp_path)).use_cassette("tape"):
            assert session.get(stage.url("/flaky")).ok
    with (
        Session(retry_base_delay=0.01) as later,
        Betamax(later, cassette_library_dir=str(tmp_path)).use_cassette("tape", record="none"),
    ):
        assert later.get(stage.url("/flaky")).json() == {"ok": True}
        assert later.get_stats()["retries"] == 1


@pytest.mark.parametrize("recorder", [requests.Session, Session])
def test_a_cassette_of_one_is_played_to_the_other(
    recorder: type[requests.Session], either: requests.Session, tmp_path: Path
) -> None:
    def talk(session: requests.Session) -> list[object]:
        with Betamax(session, cassette_library_dir=str(tmp_path)).use_cassette("tape"):
            found = session.get(f"{base}/users", params={"page": 1})
            made = session.post(f"{base}/users", json={"name": "Ada"})
            return [found.json(), made.json(), made.status_code]

    with ApiServer() as server, recorder() as recording:
        base = server.base_url
        server.route("/users", Reply(json=[{"id": 1}]), method="GET")
        server.route("/users", Reply(201, json={"id": 2}), method="POST")
        said = talk(recording)
    assert talk(either) == said


def test_what_is_not_in_the_cassette_says_so_and_is_not_sent(
    either: requests.Session, api_server: ApiServer, tmp_path: Path
) -> None:
    with (
        requests.Session() as recording,
        Betamax(recording, cassette_library_dir=str(tmp_path)).use_cassette("tape"),
    ):
        recording.get(api_server.url("/x"))
    vcr = Betamax(either, cassette_library_dir=str(tmp_path))
    with vcr.use_cassette("tape", record="none"), pytest.raises(BetamaxError):
        either.get(api_server.url("/y"))
    assert [request.path for request in api_server.requests] == ["/x"]


def test_afterwards_everything_is_as_before(
    session: Session, api_server: ApiServer, tmp_path: Path
) -> None:
    for _ in range(2):
        with Betamax(session, cassette_library_dir=str(tmp_path)).use_cassette("tape"):
            assert session.get(api_server.url("/x")).ok
    assert api_server.hits("/x") == 1
    assert session.get(api_server.url("/x")).ok
    assert api_server.hits("/x") == 2
    assert session.get_adapter(api_server.url("/x")) is session.engine.adapter
