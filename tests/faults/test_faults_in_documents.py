"""What a client that returns documents makes of documents that are none, and of all the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from browseros_api import EnhancedAPIClient
from tests.faults.case import Case
from tests.faults.documents import DOCUMENTS, Document
from tests.faults.hostile import HostileServer
from tests.faults.table import CASES
from tests.faults.talk import OK
from tests.faults.witness import LONGEST, RETRIES, assert_clean

BROKEN = [document for document in DOCUMENTS if document.told is requests.JSONDecodeError]
FORMS = [document for document in DOCUMENTS if document not in BROKEN]


def name_of(thing: Case | Document) -> str:
    return thing.case.name if isinstance(thing, Document) else thing.name


@pytest.fixture
def client(hostile: HostileServer) -> Iterator[EnhancedAPIClient]:
    with EnhancedAPIClient(
        f"http://127.0.0.1:{hostile.port}", timeout=5.0, max_retries=RETRIES, sleep=lambda _: None
    ) as client:
        client.session.trust_env = False
        yield client


@pytest.mark.parametrize("document", FORMS, ids=name_of)
def test_what_can_be_read_is_read(
    document: Document, client: EnhancedAPIClient, hostile: HostileServer
) -> None:
    told = client.get(f"/{document.case.name}/{hostile.token()}")
    assert repr(told) == repr(document.told)  # one NaN is not equal to another
    assert client.get_stats()["successful_requests"] == 1
    assert_clean(client.session, calls=1, hits=1)


@pytest.mark.parametrize("document", BROKEN, ids=name_of)
def test_what_cannot_be_read_is_an_error_that_shows_it(
    document: Document, client: EnhancedAPIClient, hostile: HostileServer
) -> None:
    token = hostile.token()
    with pytest.raises(requests.JSONDecodeError) as caught:
        client.get(f"/{document.case.name}/{token}")
    start = (document.case.body or b"")[:20].decode("utf-8", "replace")
    assert "200" in str(caught.value)
    assert repr(start)[1:-1] in str(caught.value)
    assert len(str(caught.value)) < 2000
    assert isinstance(caught.value, ValueError)
    assert caught.value.response is not None
    assert caught.value.response.content == document.case.body
    assert caught.value.request is not None
    assert hostile.hits(token) == 1
    figures = client.get_stats()
    assert (figures["successful_requests"], figures["failed_requests"]) == (0, 1)
    assert_clean(client.session, calls=1, hits=1)


@pytest.mark.parametrize("document", BROKEN, ids=name_of)
def test_what_cannot_be_read_is_asked_for_again_and_not_kept(
    document: Document, client: EnhancedAPIClient, hostile: HostileServer
) -> None:
    token = hostile.token()
    for _ in range(2):
        with pytest.raises(requests.JSONDecodeError):
            client.get(f"/{document.case.name}/{token}")
        assert client.get_stats()["cache_size"] == 0
    assert hostile.hits(token) == 2


def result_of(ask: Callable[[], Any]) -> tuple[Any, Any]:
    """What it returns, or what it raises."""
    try:
        return ask(), None
    except Exception as error:
        return None, error


ORDINARY = [
    case for case in CASES.values() if not (case.waits or case.hangs or case.name == "gzip-bomb")
]


@pytest.mark.parametrize("case", ORDINARY, ids=name_of)
def test_the_client_fails_as_the_session_does_or_returns_what_is_there(
    case: Case, client: EnhancedAPIClient, hostile: HostileServer
) -> None:
    token = hostile.token()
    told, error = result_of(lambda: client.request(case.method, f"/{case.name}/{token}"))
    if not isinstance(case.ends, int):
        assert isinstance(error, case.ends)
    elif error is not None:
        kind = requests.HTTPError if case.ends >= 400 else requests.JSONDecodeError
        assert isinstance(error, kind)
        assert error.response is not None
        assert error.response.status_code == case.ends
    else:
        assert case.ends < 400
        assert case.body != OK or told in ({"ok": True}, OK, OK.decode())
    assert client.get_stats()["failed_requests"] == int(error is not None)
    is_kept = error is None and case.kept and case.ends < 300  # by TTL no redirect is
    assert client.get_stats()["cache_size"] == int(is_kept)
    assert hostile.hits(token) == case.gets
    assert client.get_stats()["average_latency_ms"] < LONGEST * 1000
    assert_clean(client.session, calls=1, hits=case.gets)
    after = hostile.token()
    assert client.get(f"/echo/{after}")["path"] == f"/echo/{after}"
