"""Laws of the record: what was written is read, and nothing else is, whatever it was made by."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from browseros_api.bare import Bare, restored
from browseros_api.stores.record import Record, decoded, encoded

texts = st.text(max_size=20)
pairs = st.tuples(texts, texts)
instants = st.floats(-1e10, 1e10)
bares = st.builds(
    Bare,
    status_code=st.integers(100, 999),
    reason=st.none() | texts,
    url=st.none() | texts,
    method=texts,
    headers=st.lists(pairs, max_size=4),
    encoding=st.none() | texts,
    elapsed=st.floats(0.0, 1e6),
    following=st.none() | pairs,
    body=st.binary(max_size=200),
)
records = st.builds(
    Record,
    key=texts,
    resource=texts,
    born=instants,
    fresh_until=instants,
    expires=instants,
    chosen_by=st.lists(st.tuples(texts, st.none() | texts), max_size=3).map(tuple),
    hops=st.lists(bares, min_size=1, max_size=3).map(tuple),
)

BARE = Bare(200, "OK", None, "GET", [("Content-Type", "text/plain")], "utf-8", 0.1, None, b"body")
RECORD = Record("k", "http://h/x", 1e9, 2e9, 2e9, (("te", None),), (BARE,))


def forged(head: Any, bodies: bytes = b"", *, version: int = 1) -> bytes:
    """What somebody would write who knows the form, and can compute a CRC."""
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    rest = struct.pack(">I", len(text)) + text + bodies
    return struct.pack(">BI", version, zlib.crc32(rest)) + rest


def head_of(raw: bytes) -> dict[str, Any]:
    (size,) = struct.unpack_from(">I", raw, 5)
    head: dict[str, Any] = json.loads(raw[9 : 9 + size])
    return head


@given(records)
def test_what_was_written_is_read(record: Record) -> None:
    assert decoded(encoded(record)) == record


@given(records, st.data())
def test_a_record_that_was_cut_is_none(record: Record, data: st.DataObject) -> None:
    raw = encoded(record)
    assert decoded(raw[: data.draw(st.integers(0, len(raw) - 1))]) is None
    assert decoded(raw + data.draw(st.binary(min_size=1, max_size=5))) is None


@given(records, st.data())
def test_a_record_of_which_anything_was_changed_is_none(
    record: Record, data: st.DataObject
) -> None:
    raw = bytearray(encoded(record))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    assert decoded(bytes(raw)) is None


@given(st.binary(max_size=300))
def test_what_is_no_record_is_none(raw: bytes) -> None:
    assert decoded(raw) is None
    assert decoded(forged(raw)) is None
    assert decoded(b"\x01" + raw) is None


def test_the_form_is_what_the_documentation_says() -> None:
    raw = encoded(RECORD)
    assert raw == forged(json.dumps(head_of(raw), separators=(",", ":")).encode(), b"body")
    assert head_of(raw) == {
        "key": "k",
        "resource": "http://h/x",
        "born": 1e9,
        "fresh_until": 2e9,
        "expires": 2e9,
        "chosen_by": [["te", None]],
        "hops": [
            {
                "status": 200,
                "reason": "OK",
                "url": None,
                "method": "GET",
                "headers": [["Content-Type", "text/plain"]],
                "encoding": "utf-8",
                "elapsed": 0.1,
                "following": None,
                "size": 4,
            }
        ],
    }


def test_another_version_is_none() -> None:
    head = head_of(encoded(RECORD))
    assert decoded(forged(head, b"body")) == RECORD
    for version in (0, 2, 255):
        assert decoded(forged(head, b"body", version=version)) is None


# JSON that has all names but not the types, or lies about sizes; a CRC does not keep it out.
WRONG = [None, True, "x", 1, -1, 10**30, 1.5, 1e400, float("nan"), [], {}, [[]], [1], {"a": 1}]
NAMES = ["key", "resource", "born", "fresh_until", "expires", "chosen_by", "hops"]
OF_HOP = [*("status", "reason", "method", "headers", "encoding", "elapsed", "following", "size")]


@pytest.mark.parametrize("name", NAMES)
def test_a_forged_head_is_none_or_has_the_right_types(name: str) -> None:
    head = head_of(encoded(RECORD))
    for value in WRONG:
        checked(decoded(forged({**head, name: value}, b"body")))
    del head[name]
    assert decoded(forged(head, b"body")) is None


@pytest.mark.parametrize("name", OF_HOP)
def test_a_forged_hop_is_none_or_has_the_right_types(name: str) -> None:
    head = head_of(encoded(RECORD))
    (hop,) = head["hops"]
    for value in WRONG:
        checked(decoded(forged({**head, "hops": [{**hop, name: value}]}, b"body")))
    del hop[name]
    assert decoded(forged(head, b"body")) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from([*NAMES, *OF_HOP]), json_values, st.binary(max_size=8))
def test_no_forgery_raises(name: str, value: Any, bodies: bytes) -> None:
    head = head_of(encoded(RECORD))
    target = head if name in NAMES else head["hops"][0]
    target[name] = value
    checked(decoded(forged(head, bodies)))


def checked(record: Record | None) -> None:
    """What was let through can be used by a reader like any other."""
    if record is None:
        return
    snapshot = restored(record.hops, tuple(name for name, _ in record.chosen_by))
    replica = snapshot.replica(from_cache=True)
    assert isinstance(replica.status_code, int)
    assert isinstance(replica.content, bytes)
    assert all(isinstance(text, str) for pair in replica.headers.items() for text in pair)
    repr(replica), replica.ok, replica.elapsed, replica.history, replica.request, replica.next
    assert all(isinstance(one, float) for one in (record.born, record.fresh_until, record.expires))


def test_nesting_without_end_is_none() -> None:
    assert decoded(forged(b"[" * 200_000)) is None
    assert decoded(forged(b'{"hops":' + b"[" * 200_000 + b"]" * 200_000 + b"}")) is None


def test_the_sizes_of_bodies_cannot_reach_beyond_the_record() -> None:
    head = head_of(encoded(RECORD))
    (hop,) = head["hops"]
    for sizes in ([2], [5], [2, 3], [4, 4], [-1, 5]):
        head["hops"] = [{**hop, "size": size} for size in sizes]
        assert decoded(forged(head, b"body")) is None
    head["hops"] = [{**hop, "size": 1}, {**hop, "size": 3}]
    record = decoded(forged(head, b"body"))
    assert record is not None
    assert [bare.body for bare in record.hops] == [b"b", b"ody"]
