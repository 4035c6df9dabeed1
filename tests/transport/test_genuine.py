"""What stands in the place of a library's function is seen, however well it is disguised."""

from __future__ import annotations

import functools
import http.client
from typing import Any

import pytest
from requests.adapters import HTTPAdapter

from browseros_api.transport.genuine import Genuine

SEND = (HTTPAdapter, "send")


class Disguised:
    """As those of wrapt: equal to what it wraps, and with its attributes."""

    def __init__(self, wrapped: Any) -> None:
        self.__wrapped__ = wrapped

    def __eq__(self, other: object) -> bool:
        return bool(self.__wrapped__ == other)

    def __hash__(self) -> int:
        return hash(self.__wrapped__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)


def wrapped(usual: Any) -> Any:
    @functools.wraps(usual)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        return usual(*arguments, **options)

    return wrapper


@pytest.mark.parametrize("disguise", [Disguised, wrapped], ids=["object", "function"])
@pytest.mark.parametrize("was_asked_before", [False, True])
@pytest.mark.parametrize("place", [SEND, (http.client, "parse_headers")], ids=["class", "module"])
def test_a_replacement_is_seen_and_so_is_its_end(
    disguise: Any, was_asked_before: bool, place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions = Genuine(place)
    if was_asked_before:
        assert functions
    with monkeypatch.context() as patch:
        patch.setattr(*place, disguise(getattr(*place)))
        assert not functions
    assert functions


def test_a_name_that_is_gone_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = Genuine(SEND)
    assert functions
    monkeypatch.delattr(HTTPAdapter, "send")
    assert not functions


def test_a_class_that_overrides_one_has_not_the_same() -> None:
    class Plain(HTTPAdapter):
        pass

    class Own(HTTPAdapter):
        def send(self, *arguments: Any, **options: Any) -> Any:
            raise NotImplementedError

    functions, plain = Genuine(SEND), Plain()
    assert functions.are_those_of(plain)
    assert not functions.are_those_of(Own())
    plain.send = None  # type: ignore[method-assign, assignment]
    assert not functions.are_those_of(plain)
