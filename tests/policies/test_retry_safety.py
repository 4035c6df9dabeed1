"""Laws of doing no harm: what may be sent twice, and what cannot be."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from requests import exceptions

from browseros_api.errors import NEVER_SENT, RequestState
from browseros_api.pipeline import Exchange
from tests.policies.test_retry import TRANSIENT, Rig, answer, exchange_of

MAYBE_DONE = [answer(500), answer(503, "1"), answer(413, "1"), *TRANSIENT]


@pytest.mark.parametrize("outcome", MAYBE_DONE, ids=repr)
@pytest.mark.parametrize("method", ["POST", "PATCH", "PURGE"])
def test_what_the_server_may_have_done_is_not_asked_for_twice(
    method: str, outcome: requests.Response | requests.RequestException
) -> None:
    """R14"""
    rig = Rig(outcome)
    assert rig.end(exchange_of(method)) is outcome
    assert (rig.calls, rig.clock.slept) == (1, [])


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "get"])
def test_idempotent_methods_are_asked_again(method: str) -> None:
    """R14"""
    exchange = exchange_of(method)
    exchange.request.method = method  # preparing made it upper case
    assert Rig(requests.ReadTimeout("silence"), answer(200)).ask(exchange).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_an_idempotency_key_makes_any_method_repeatable(method: str) -> None:
    """R14"""
    keyed = exchange_of(method, headers={"idempotency-key": "abc"})
    assert Rig(answer(500), answer(200)).ask(keyed).status_code == 200
    unnamed = exchange_of(method, headers={"Idempotency-Key": ""})
    assert Rig(answer(500)).ask(unnamed).status_code == 500


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_what_never_reached_a_server_is_asked_again_by_any_method(method: str) -> None:
    """R15"""
    refused, asked = requests.ConnectionError("refused"), []

    def state_of(error: requests.RequestException) -> RequestState:
        asked.append(error)
        return NEVER_SENT

    rig = Rig(refused, answer(200), state_of=state_of)
    assert rig.ask(exchange_of(method, data="x")).status_code == 200
    assert set(asked) <= {refused}


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_too_many_requests_are_asked_again_by_any_method(method: str) -> None:
    """R15"""
    rig = Rig(answer(429), answer(429, "3"), answer(200))
    assert rig.ask(exchange_of(method)).status_code == 200
    assert rig.clock.slept == [1.0, 3.0]


@pytest.mark.parametrize("status", [100, 200, 204, 302, 304, 400, 401, 403, 404, 408, 413, 999])
def test_no_other_answer_is_asked_for_again(status: int) -> None:
    """R16"""
    response = answer(status)
    rig = Rig(response)
    assert rig.ask() is response


def test_too_large_is_final_unless_the_server_says_when_to_come_back() -> None:
    """R16"""
    assert Rig(answer(413, "soon")).ask().status_code == 413
    assert Rig(answer(413, "5"), answer(200)).ask().status_code == 200


class Unseekable(io.BytesIO):
    """A file that tells where it is and cannot go back."""

    def seek(self, *place: int) -> int:
        raise io.UnsupportedOperation("one way only")


def generated() -> Iterator[bytes]:
    yield b"abc"


class Deaf(io.BytesIO):
    """A file that does not tell where it is."""

    def tell(self) -> int:
        raise OSError("a pipe")


@pytest.mark.parametrize("body", [generated, lambda: iter([b"a"]), lambda: Deaf(b"abc")])
@pytest.mark.parametrize("status", [None, 503, 429])
def test_a_body_that_is_gone_is_not_sent_again(body: Any, status: int | None) -> None:
    """R18"""
    outcome = requests.ConnectionError("refused") if status is None else answer(status)
    rig = Rig(outcome, state_of=lambda error: NEVER_SENT)
    assert rig.end(exchange_of("PUT", data=body())) is outcome
    assert rig.calls == 1


@pytest.mark.parametrize("body", [None, "text", b"bytes", b""])
def test_a_body_in_memory_is_sent_again(body: str | bytes | None) -> None:
    """R17"""
    assert Rig(answer(503), answer(200)).ask(exchange_of("PUT", data=body)).status_code == 200


def test_a_file_goes_back_to_where_it_began_before_each_attempt() -> None:
    """R17"""
    file, read = io.BytesIO(b"xxhello"), []
    file.seek(2)
    rig = Rig(answer(503), requests.ReadTimeout("silence"), answer(200))

    def proceed(exchange: Exchange) -> requests.Response:
        read.append(file.read())
        return rig.proceed(exchange)

    rig.retry.attempt(exchange_of("PUT", data=file), proceed)
    assert read == [b"hello"] * 3


def test_a_rewind_that_fails_ends_it_with_the_original_error() -> None:
    """R18"""
    error, below = requests.ConnectionError("reset"), OSError("below")
    error.__context__ = below
    for file in (Unseekable(b"abc"), io.BytesIO(b"abc")):
        exchange, rig = exchange_of("PUT", data=file), Rig(error)
        file.close()
        with pytest.raises(requests.ConnectionError) as caught:
            rig.ask(exchange)
        assert caught.value is error
        chain = _contexts(error)
        assert below in chain
        assert any(isinstance(e, (exceptions.UnrewindableBodyError, ValueError)) for e in chain)
        assert (rig.calls, rig.clock.slept) == (1, [])


def test_a_rewind_that_fails_ends_it_with_the_original_answer() -> None:
    """R18, R20"""
    bad = answer(503)
    assert Rig(bad).ask(exchange_of("PUT", data=Unseekable(b"abc"))) is bad
    assert not bad.raw.closed


def _contexts(error: BaseException) -> list[BaseException]:
    chain = []
    while error.__context__ is not None and len(chain) < 20:
        error = error.__context__
        chain.append(error)
    return chain
