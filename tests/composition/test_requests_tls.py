"""TLS with real certificates: trust, names, client certificates, and what the environment says."""

from __future__ import annotations

import os
import ssl
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from requests.exceptions import SSLError

import browseros_api
from browseros_api import EnhancedAPIClient, Session
from browseros_api.testing import ApiServer, Reply
from tests.faults.certificates import Authority

FRESH = {"Cache-Control": "max-age=60"}
unverified = pytest.mark.filterwarnings("ignore:Unverified HTTPS:Warning")


def reaches(ask: Callable[..., requests.Response], url: str, **options: Any) -> bool:
    """Whether an answer comes; any error but that of a certificate is the test's."""
    try:
        return ask(url, **options).ok
    except SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" not in str(error):
            raise
        return False


def test_who_is_vouched_for_is_trusted(
    either: requests.Session, safe_server: ApiServer, authority: Authority
) -> None:
    url = safe_server.url("/x")
    assert not reaches(either.get, url)
    assert not reaches(either.get, url, verify=True)
    assert reaches(either.get, url, verify=authority.file)
    assert not reaches(either.get, url)  # the connection of before is not used for this
    either.verify = authority.file
    assert reaches(either.get, url)
    assert not reaches(either.get, url, verify=requests.certs.where())


def test_a_folder_of_authorities_will_do(
    either: requests.Session, safe_server: ApiServer, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(Path(authority.file).read_bytes())
    done = subprocess.run(["openssl", "rehash", tmp_path], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("needs openssl rehash")
    assert reaches(either.get, safe_server.url("/x"), verify=str(tmp_path))


@unverified
def test_trust_may_be_waived_for_a_call_and_for_no_other(
    either: requests.Session, safe_server: ApiServer
) -> None:
    url = safe_server.url("/x")
    assert reaches(either.get, url, verify=False)
    assert not reaches(either.get, url)
    either.verify = False
    assert reaches(either.get, url)
    assert not reaches(either.get, url, verify=True)


def test_waiving_it_is_warned_of(either: requests.Session, safe_server: ApiServer) -> None:
    with pytest.warns(Warning, match="Unverified HTTPS request"):
        either.get(safe_server.url("/x"), verify=False)


def test_another_name_is_not_trusted(either: requests.Session, authority: Authority) -> None:
    with ApiServer(tls=authority.context("other.test")) as server:
        with pytest.raises(SSLError, match=r"doesn't match|mismatch"):
            either.get(server.url("/x"), verify=authority.file)
        assert server.hits() == 0


def test_a_certificate_that_is_not_trusted_is_not_asked_again(safe_server: ApiServer) -> None:
    with Session(retry_base_delay=0.01) as session:
        assert not reaches(session.get, safe_server.url("/x"))
        assert session.get_stats()["attempts"] == 1
    assert safe_server.connections == 1


def test_what_was_fetched_without_trust_is_not_for_those_who_ask_for_it(
    safe_server: ApiServer,
) -> None:
    safe_server.route("/kept", Reply(json=[1], headers=FRESH))
    with Session() as session, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert session.get(safe_server.url("/kept"), verify=False).ok
        assert session.get(safe_server.url("/kept"), verify=False).from_cache  # type: ignore[attr-defined]
        assert not reaches(session.get, safe_server.url("/kept"))


# -- client certificates --------------------------------------------------------------------------


class Badges:
    """Certificates that an authority has given to clients, and a server that wants to see one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ca = trustme.CA()
        self.file = str(folder / "ca.pem")
        self._ca.cert_pem.write_to_path(self.file)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert("127.0.0.1").configure_cert(self.context)
        self._ca.configure_trust(self.context)
        self.context.verify_mode = ssl.CERT_REQUIRED

    def of(self, name: str) -> tuple[str, str, str]:
        """One file for all, or one for the certificate and one for its key."""
        badge = self._ca.issue_cert(f"{name}@clients.test")
        paths = [str(self._folder / f"{name}.{part}") for part in ("all", "cert", "key")]
        badge.private_key_and_cert_chain_pem.write_to_path(paths[0])
        badge.cert_chain_pems[0].write_to_path(paths[1])
        badge.private_key_pem.write_to_path(paths[2])
        return paths[0], paths[1], paths[2]


@pytest.fixture
def badges(tmp_path: Path) -> Badges:
    return Badges(tmp_path)


@pytest.fixture
def gate(badges: Badges) -> Iterator[ApiServer]:
    with ApiServer(tls=badges.context) as server:
        yield server


def test_a_client_shows_its_certificate(
    either: requests.Session, badges: Badges, gate: ApiServer
) -> None:
    either.verify = badges.file
    url, (everything, cert, key) = gate.url("/x"), badges.of("alice")
    with pytest.raises(requests.ConnectionError):
        either.get(url)
    assert either.get(url, cert=everything).ok
    assert either.get(url, cert=(cert, key)).ok
    with pytest.raises(requests.ConnectionError):
        either.get(url)  # the connection of before is not used for this
    either.cert = (cert, key)
    assert either.get(url).ok
    assert gate.hits() == 3


def test_a_certificate_is_somebody(badges: Badges, gate: ApiServer) -> None:
    gate.route("/me", Reply(json=[], headers=FRESH))
    with Session() as session:
        session.verify = badges.file
        for name in ("alice", "bob", "alice"):
            (cert, *_) = badges.of(name)
            session.get(gate.url("/me"), cert=cert)
    assert gate.hits() == 2
    assert gate.connections == 2


def test_a_certificate_that_is_not_there_is_said(
    either: requests.Session, gate: ApiServer, tmp_path: Path
) -> None:
    for options in ({"cert": str(tmp_path / "no")}, {"verify": str(tmp_path / "no")}):
        with pytest.raises(OSError, match="invalid path"):
            either.get(gate.url("/x"), **options)  # type: ignore[arg-type]
    assert gate.connections == 0


# -- the environment ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environment_says_whom_to_trust(
    either: requests.Session,
    safe_server: ApiServer,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    url = safe_server.url("/x")
    assert not reaches(either.get, url)
    monkeypatch.setenv(name, authority.file)
    assert reaches(either.get, url)  # noticed though the session has asked before
    assert not reaches(either.get, url, verify=requests.certs.where())
    either.trust_env = False
    assert not reaches(either.get, url)
    either.trust_env = True
    monkeypatch.delenv(name)
    assert not reaches(either.get, url)


def test_the_environment_may_be_changed_behind_os_environ(
    either: requests.Session, safe_server: ApiServer, authority: Authority
) -> None:
    """As ``os.environb`` does, and whoever changes what ``os.environ`` stands on."""
    try:
        os.environb[b"REQUESTS_CA_BUNDLE"] = os.fsencode(authority.file)
        assert reaches(either.get, safe_server.url("/x"))
    finally:
        del os.environb[b"REQUESTS_CA_BUNDLE"]
    assert not reaches(either.get, safe_server.url("/x"))


@unverified
@pytest.mark.parametrize("of_session", [True, False, "bundle"])
@pytest.mark.parametrize("of_call", [None, True, False])
def test_the_environment_goes_before_the_session_as_in_requests(
    safe_server: ApiServer,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    of_session: Any,
    of_call: Any,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority.file)
    outcomes = []
    for kind in (requests.Session, Session):
        with kind() as session:
            session.verify = requests.certs.where() if of_session == "bundle" else of_session
            outcomes.append(reaches(session.get, safe_server.url("/x"), verify=of_call))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("door", ["get", "client", "installed"])
def test_it_is_so_behind_every_door(
    door: str, safe_server: ApiServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    safe_server.route("/x", Reply(json={"ok": True}))
    with EnhancedAPIClient(safe_server.base_url, max_retries=0) as client, browseros_api.install():
        ask: Any = {"get": browseros_api.get, "client": client.get, "installed": requests.get}[door]
        with pytest.raises(SSLError):
            ask(safe_server.url("/x"))
        assert ask(safe_server.url("/x"), verify=authority.file)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority.file)
        assert ask(safe_server.url("/x"))
