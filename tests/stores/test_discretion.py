"""Laws of discretion: an answer that repeats credentials does not leave the process."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import requests

from browseros_api.bare import bared, requests_of
from browseros_api.replicas import Snapshot
from browseros_api.stores.discretion import is_discreet
from tests.stores.answers import URL, answer

SECRET = "s3cret-t0ken"
BASIC = "Basic " + base64.b64encode(f"ada:{SECRET}".encode()).decode()


def leaves(response: requests.Response) -> bool:
    snapshot = Snapshot(response)
    return is_discreet(bared(snapshot), requests_of(snapshot))


SENT: dict[str, dict[str, Any]] = {
    "a bearer token": {"sent": {"Authorization": f"Bearer {SECRET}"}},
    "a header of another scheme": {"sent": {"Authorization": SECRET}},
    "a password": {"sent": {"Authorization": BASIC}},
    "a cookie": {"sent": {"Cookie": f"theme=dark; whatever={SECRET}"}},
    "an API key": {"sent": {"X-API-Key": SECRET}},
    "a token in the query": {"url": f"{URL}?page=1&access_token={SECRET}"},
    "a password in the URL": {"url": f"http://ada:{SECRET}@api.example.com/things"},
    "a token as the user in the URL": {"url": f"http://{SECRET}@api.example.com/things"},
    "a session in the path": {"url": f"{URL};jsessionid={SECRET}"},
}
REPEATED: dict[str, dict[str, Any]] = {
    "in the body": {"body": f'{{"you": "{SECRET}"}}'.encode()},
    "in a header": {"headers": {"X-You": f"it is {SECRET}."}},
    "in a link": {"headers": {"Link": f'<{URL}?page=2&access_token={SECRET}>; rel="next"'}},
}


@pytest.mark.parametrize("sent", SENT)
@pytest.mark.parametrize("repeated", REPEATED)
def test_an_answer_that_repeats_what_its_caller_is_known_by_stays(sent: str, repeated: str) -> None:
    assert not leaves(answer(**{**SENT[sent], **REPEATED[repeated]}))


@pytest.mark.parametrize("sent", SENT)
def test_an_answer_that_does_not_repeat_it_leaves(sent: str) -> None:
    assert leaves(answer(**SENT[sent]))


@pytest.mark.parametrize("repeated", REPEATED)
def test_what_others_are_known_by_is_not_known(repeated: str) -> None:
    assert leaves(answer(sent={"Authorization": "Bearer another"}, **REPEATED[repeated]))


@pytest.mark.parametrize(
    "form", ['p\\u00e4ss\\"word', 'päss"word', "p%C3%A4ss%22word"], ids=["JSON", "text", "URL"]
)
def test_it_is_recognised_in_other_forms(form: str) -> None:
    url = f"{URL}?api_key=p%C3%A4ss%22word"
    assert not leaves(answer(f'{{"key": "{form}"}}'.encode(), url=url))


def test_the_whole_header_repeated_counts_too() -> None:
    assert not leaves(answer(BASIC.encode(), sent={"Authorization": BASIC}))
    assert not leaves(answer(BASIC[6:].encode(), sent={"Authorization": "Basic " + BASIC[6:]}))


def test_what_every_text_contains_is_no_secret() -> None:
    assert leaves(answer(b"the price of 1 EUR", url=f"{URL}?key=price"))
    assert leaves(answer(b"dark", sent={"Cookie": "theme=dark"}))
    assert leaves(answer(b"ada", sent={"Authorization": BASIC}))  # a name is none


def test_headers_that_say_nothing_of_the_caller_are_no_secret() -> None:
    assert leaves(answer(b"python-requests", sent={"User-Agent": "python-requests"}))
    assert leaves(answer(b"idempotent-1", sent={"Idempotency-Key": "idempotent-1"}))


SIGNED = "https://bucket.example.com/x?X-Amz-Signature=abc"


def test_a_redirect_to_a_url_that_is_a_key_stays() -> None:
    hop = answer(b"", status=302, headers={"Location": SIGNED})
    assert not leaves(answer(url=SIGNED, history=[hop]))
    plain = SIGNED.partition("?")[0] + "#part"
    assert leaves(answer(url=plain, history=[answer(b"", status=302)]))


def test_a_redirect_that_was_not_followed_stays_if_it_leads_to_such_a_url() -> None:
    hop = answer(b"", status=302)
    hop._next = answer(url=SIGNED).request  # type: ignore[attr-defined]
    assert not leaves(hop)


def test_what_a_redirect_was_asked_with_counts_as_well() -> None:
    hop = answer(b"", status=302, sent={"Authorization": f"Bearer {SECRET}"})
    assert not leaves(answer(SECRET.encode(), url=URL + "/2", history=[hop]))


def test_requests_that_are_none_say_nothing() -> None:
    bares = bared(Snapshot(answer(SECRET.encode())))
    assert is_discreet(bares, [None, object()])
