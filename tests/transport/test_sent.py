"""What an error tells about how far a request had come."""

from __future__ import annotations

import http.client
import ssl
from typing import Any

import pytest
import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError, ProxyError

from browseros_api.errors import ConnectTimeout, PoolTimeout, ReadTimeout, clone
from browseros_api.testing import ApiServer, Reply
from browseros_api.transport.sent import is_stale, never_sent


def failure(client: Any, url: str, **options: Any) -> requests.RequestException:
    with pytest.raises(requests.RequestException) as caught:
        client.get(url, **{"timeout": 20, **options})
    return caught.value


def test_a_refused_connection_carried_nothing(client: Any, refusing: tuple[str, int]) -> None:
    error = failure(client, "http://{}:{}/".format(*refusing))
    assert never_sent(error)
    assert never_sent(clone(error))


@pytest.mark.usefixtures("names")
def test_an_unknown_name_carried_nothing(client: Any) -> None:
    assert never_sent(failure(client, "http://nowhere.test/"))


def test_a_connect_timeout_carried_nothing(client: Any, swallowing: tuple[str, int]) -> None:
    assert never_sent(failure(client, "http://{}:{}/".format(*swallowing), timeout=0.05))


def test_a_wait_for_a_connection_carried_nothing() -> None:
    assert never_sent(PoolTimeout("full"))
    assert never_sent(ConnectTimeout("late"))


def test_a_proxy_that_refuses_carried_nothing(client: Any, refusing: tuple[str, int]) -> None:
    proxies = {"http": "http://{}:{}".format(*refusing), "https": "http://{}:{}".format(*refusing)}
    for scheme in proxies:
        error = failure(client, f"{scheme}://h/", proxies=proxies)
        assert isinstance(error, requests.exceptions.ProxyError)
        assert never_sent(error)


def test_a_proxy_that_hung_up_may_have_carried_it() -> None:
    hung_up = ProxyError("Unable to connect to proxy", http.client.RemoteDisconnected("gone"))
    assert not never_sent(requests.exceptions.ProxyError(MaxRetryError(None, "/", hung_up)))  # type: ignore[arg-type]


def test_a_proxy_that_made_no_tunnel_carried_nothing() -> None:
    refused = ProxyError("Unable to connect to proxy", OSError("Tunnel connection failed: 403 No"))
    assert never_sent(requests.exceptions.ProxyError(MaxRetryError(None, "/", refused)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "reply", [Reply(reset="before"), Reply(raw=b""), Reply(silent=True), Reply(reset="head")]
)
def test_once_it_was_sent_nobody_knows(reply: Reply, api_server: ApiServer, client: Any) -> None:
    api_server.route("/x", reply)
    assert not never_sent(failure(client, api_server.url("/x"), timeout=(20, 0.1)))


def test_other_errors_do_not_tell() -> None:
    assert not never_sent(ReadTimeout("late"))
    assert not never_sent(ValueError("?"))
    assert not never_sent(requests.HTTPError("500"))


def test_the_classes_of_a_fork_are_known_by_name() -> None:
    class NewConnectionError(Exception):
        pass

    class Refused(NewConnectionError):
        pass

    assert never_sent(requests.ConnectionError(Refused("no")))


def test_an_error_that_contains_itself_ends() -> None:
    error = requests.ConnectionError("round")
    error.args = (error,)
    assert not never_sent(error)
    assert not is_stale(error)


@pytest.mark.parametrize(
    "cause",
    [
        ConnectionResetError(104, "reset"),
        BrokenPipeError(32, "pipe"),
        ConnectionAbortedError(103, "aborted"),
        http.client.RemoteDisconnected("gone"),
        ssl.SSLEOFError(8, "EOF"),
        ssl.SSLZeroReturnError(6, "closed"),
    ],
)
def test_who_hung_up_is_known_by_the_innermost_cause(cause: Exception) -> None:
    assert is_stale(requests.ConnectionError(ProtocolError("Connection aborted.", cause)))
    assert not is_stale(requests.ReadTimeout(ProtocolError("Connection aborted.", cause)))


def test_who_was_never_there_did_not_hang_up() -> None:
    refused = NewConnectionError(None, "refused")  # type: ignore[arg-type]
    assert not is_stale(requests.ConnectionError(MaxRetryError(None, "/", refused)))  # type: ignore[arg-type]
