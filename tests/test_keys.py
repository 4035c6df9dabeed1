"""Laws of names: two calls have one key exactly if they may share one answer."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from decimal import Decimal
from enum import IntEnum
from types import MappingProxyType
from typing import Any

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from browseros_api.journal import is_secret
from browseros_api.keys import (
    ALL_COOKIES,
    NEVER_SELECTS,
    Unnamable,
    canonical,
    digest,
    effective_headers,
    frozen,
)

# Few letters, and those of which canonical forms are made: what could collide is likely to come up.
LETTERS = st.text("sybtmdfn0123:;&=,", max_size=5)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.integers(),
    st.floats(allow_nan=False),
    LETTERS,
    st.text(st.characters(), max_size=3),
    LETTERS.map(str.encode),
    st.binary(max_size=3),
)
VALUES = st.recursive(
    SCALARS,
    lambda parts: st.one_of(
        st.lists(parts, max_size=3),
        st.lists(parts, max_size=3).map(tuple),
        st.dictionaries(LETTERS, parts, max_size=3),
    ),
    max_leaves=8,
)


def meaning(value: Any) -> Any:
    """What a value is, exactly, as something that can be compared: the judge of the laws below."""
    if isinstance(value, dict):
        return ("map", frozenset((meaning(name), meaning(part)) for name, part in value.items()))
    if isinstance(value, (list, tuple)):
        return ("sequence", tuple(meaning(part) for part in value))
    return (type(value).__name__, repr(value))


def ordered(value: Any) -> Any:
    """The same where the order of a mapping counts, and lists are no tuples."""
    if isinstance(value, dict):
        return ("map", tuple((ordered(name), ordered(part)) for name, part in value.items()))
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, tuple(ordered(part) for part in value))
    return (type(value).__name__, repr(value))


@given(VALUES, VALUES)
@example("s1:a", ["a"])
@example(["a", "b"], ["as1:b"])
@example({"a": "b"}, [["a", "b"]])
@example("1", 1)
@example(1, 1.0)
@example(True, 1)
@example(0.0, -0.0)
@example("a", b"a")
@example(None, "n;")
@example([], {})
@example([[], []], [[[]]])
def test_two_values_have_one_canonical_form_exactly_if_they_are_the_same(a: Any, b: Any) -> None:
    assert (canonical(a) == canonical(b)) == (meaning(a) == meaning(b))


@given(VALUES)
def test_a_mapping_has_one_canonical_form_whatever_its_order(value: Any) -> None:
    def turned(part: Any) -> Any:
        if isinstance(part, dict):
            return OrderedDict((name, turned(one)) for name, one in reversed(part.items()))
        return [turned(one) for one in part] if isinstance(part, (list, tuple)) else part

    assert canonical(turned(value)) == canonical(value)


@given(st.lists(VALUES, max_size=4), st.lists(VALUES, max_size=4))
def test_parts_cannot_run_together_where_a_delimiter_falls(a: list[Any], b: list[Any]) -> None:
    assert (digest(*a) == digest(*b)) == (meaning(a) == meaning(b))


def test_the_digest_is_the_same_in_every_process_and_release() -> None:
    words = ("1", "GET", "http://h/?x=1", {"accept": "*/*"}, None, (True, 1, 2.5, b"\x00"))
    assert canonical(words) == (
        b"t73:s1:1s3:GETs13:http://h/?x=1m19:t15:s6:accepts3:*/*n;t17:b1;d1:1f3:2.5y1:\x00"
    )
    assert digest(*words) == "5758b2a9fa171e9d6ed0847ab5b5022a4958893306b98f907513fbd2fc7b5b1b"


class Colour(IntEnum):
    RED = 1


@pytest.mark.parametrize(
    "odd",
    [object(), {1, 2}, frozenset(), Decimal(1), iter(()), (n for n in ()), len, range(2), 1j],
    ids=lambda odd: type(odd).__name__,
)
def test_what_has_no_exact_words_is_unnamable_however_deep_it_lies(odd: Any) -> None:
    for value in (odd, [odd], {"a": {"b": (odd,)}}):
        with pytest.raises(Unnamable):
            canonical(value)
        with pytest.raises(Unnamable):
            frozen(value)


@pytest.mark.parametrize("odd", [Colour.RED, type("S", (str,), {})("a"), bytearray(b"a")])
def test_kinds_that_may_compare_as_they_like_are_not_frozen(odd: Any) -> None:
    with pytest.raises(Unnamable):
        frozen(odd)


@given(VALUES, VALUES)
@example([1], [True])
@example({"x": 1}, {"x": 1.0})
@example(["list"], ("list", "list"))
@example([("map",)], {"map": "map"})
@example(True, ("bool", "True"))
def test_frozen_values_are_equal_exactly_if_what_they_were_made_of_is(a: Any, b: Any) -> None:
    assert (frozen(a) == frozen(b)) == (ordered(a) == ordered(b))
    assert hash(frozen(a)) == hash(frozen(a))


def test_one_and_true_and_their_likes_are_different_things() -> None:
    likes = [1, True, 1.0, "1", b"1", "True", "1.0", [1], (1,), [True], {"1": 1}, [["1", 1]]]
    for a, b in itertools.combinations(likes, 2):
        assert canonical(a) != canonical(b) or (a, b) == ([1], (1,))
        assert frozen(a) != frozen(b)
    assert len({frozen(like) for like in likes}) == len(likes)


def test_any_kind_of_mapping_will_do() -> None:
    proxy = MappingProxyType({"a": 1})
    assert canonical(proxy) == canonical({"a": 1})
    assert frozen(proxy) == frozen({"a": 1})


# -- headers ---------------------------------------------------------------------------------------

MERGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"A": "1"}, {"a": "2"}),
    ({"A": "1"}, {"a": None}),
    ({"A": "1", "B": "2"}, {"C": "3"}),
    ({"A": None}, {"B": "1"}),
    ({}, {"A": "1", "a": "2"}),
    ({}, {"A": None, "a": "2"}),
    ({}, {"A": "2", "a": None}),
    ({"A": b"1"}, {"B": b"\xe9"}),
]


@pytest.mark.parametrize(("defaults", "own"), MERGES)
def test_effective_headers_are_those_that_requests_sends(
    defaults: dict[str, Any], own: dict[str, Any]
) -> None:
    session = requests.Session()
    session.headers.clear()
    session.headers.update(defaults)
    sent = session.prepare_request(requests.Request("GET", "http://h/", headers=own)).headers
    assert effective_headers(session.headers, own) == {
        name.lower(): value.decode("latin-1") if isinstance(value, bytes) else value
        for name, value in sent.items()
    }


def test_a_header_that_requests_would_refuse_is_unnamable() -> None:
    with pytest.raises(Unnamable):
        effective_headers({}, {"A": 1})
    with pytest.raises(Unnamable):
        effective_headers({1: "a"}, {})  # type: ignore[dict-item]


def test_nothing_that_makes_a_caller_somebody_is_among_what_never_selects() -> None:
    assert not [name for name in NEVER_SELECTS if is_secret(name)]
    assert not NEVER_SELECTS & {"host", "range", "accept", "accept-language", "x-tenant", "origin"}
    assert all(name == name.lower() for name in NEVER_SELECTS)


def test_no_header_can_be_taken_for_all_cookies() -> None:
    with pytest.raises(requests.exceptions.InvalidHeader):
        requests.Request("GET", "http://h/", headers={ALL_COOKIES: "x"}).prepare()
