"""The docker SDK: a client that is a session, and talks to a socket in the file system."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.transport import UnixHTTPAdapter

from browseros_api import ResilienceMixin, Session
from browseros_api.testing import ApiServer, Received, Reply
from tests.compat.unix_door import UnixDoor


class Resilient(ResilienceMixin, docker.APIClient):
    pass


@pytest.fixture
def door(api_server: ApiServer, tmp_path: Path) -> Iterator[UnixDoor]:
    api_server.route("/version", Reply(json={"ApiVersion": "1.45"}))
    with UnixDoor(api_server, tmp_path / "docker.sock") as door:
        yield door


@pytest.fixture
def client(door: UnixDoor) -> Iterator[Resilient]:
    with Resilient(f"unix://{door.path}", "1.45", retry_base_delay=0.01) as client:
        yield client


def test_the_daemon_is_asked_through_its_socket(
    client: Resilient, api_server: ApiServer, door: UnixDoor
) -> None:
    api_server.script("/v1.45/containers/json", Reply(503), Reply(json=[{"Id": "abc"}]))
    assert client.containers() == [{"Id": "abc"}]
    assert client.get_stats()["retries"] == 1
    assert door.visits == 1
    assert isinstance(client.get_adapter("http+docker://localhost/"), UnixHTTPAdapter)


def test_the_version_may_be_asked_for_at_the_start(door: UnixDoor) -> None:
    with Resilient(f"unix://{door.path}", "auto") as client:
        assert client.api_version == "1.45"


def test_its_arguments_may_be_given_by_name(door: UnixDoor) -> None:
    with Resilient(base_url=f"unix://{door.path}", timeout=7, retry_base_delay=0.01) as client:
        assert client.api_version == "1.45"
        assert client.timeout == 7


def test_something_is_made_once(client: Resilient, api_server: ApiServer) -> None:
    made = Reply(201, json={"Id": "abc", "Warnings": []})
    api_server.route("/v1.45/containers/create", made, method="POST")
    assert client.create_container("busybox", "true")["Id"] == "abc"
    assert api_server.requests[-1].json()["Image"] == "busybox"
    api_server.route("/v1.45/containers/abc/start", Reply(500, json={"message": "no"}))
    with pytest.raises(docker.errors.APIError, match="no"):
        client.start("abc")
    assert api_server.hits("/v1.45/containers/abc/start") == 1


def test_a_stream_is_followed(client: Resilient, api_server: ApiServer) -> None:
    events = "".join(json.dumps({"status": name}) + "\n" for name in ("create", "start", "die"))
    api_server.route("/v1.45/events", Reply(body=events, chunked=True, chunk_size=7))
    found = [event["status"] for event in client.events(decode=True)]
    assert found == ["create", "start", "die"]


def test_the_rich_client_stands_on_it(
    client: Resilient, api_server: ApiServer, door: UnixDoor
) -> None:
    def inspected(request: Received) -> Reply:
        return Reply(json={"Id": "abc", "Config": {"Image": "busybox"}, "Name": "/one"})

    api_server.route("/v1.45/containers/abc/json", inspected)
    rich = docker.DockerClient(base_url=f"unix://{door.path}", version="1.45")
    rich.api.close()
    rich.api = client
    assert rich.containers.get("abc").name == "one"


def test_its_adapter_may_be_mounted_by_hand(
    session: Session, api_server: ApiServer, door: UnixDoor
) -> None:
    api_server.script("/_ping", Reply(503), Reply(body="OK"))
    session.mount("http+docker://", UnixHTTPAdapter(f"http+unix://{door.path}"))
    assert session.get("http+docker://localhost/_ping").text == "OK"
    assert session.get_stats()["retries"] == 1
