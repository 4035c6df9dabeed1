"""An answer as bytes: the form in which it leaves the process.

version  1 byte   1
check    4 bytes  CRC-32 of all that follows, most significant byte first
size     4 bytes  of the head, likewise
head     JSON in UTF-8: an object, see docs/stores.md
bodies           of the redirects and of the answer, one behind the other

Nothing in it is ever executed, and whatever it was made by, reading it never raises.
"""

from __future__ import annotations

import json
import struct
import zlib
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from ..bare import Bare

__all__ = ["Record", "decoded", "encoded"]

VERSION = 1
_FRONT = struct.Struct(">BII")
_CHECKED = 5  # where that begins which the CRC covers
T = TypeVar("T")
_LATEST = 253_402_300_800.0  # the year 10000, in epoch seconds

Chosen = tuple[tuple[str, str | None], ...]


class Record(NamedTuple):
    """An answer and what must be known to use it; instants are epoch seconds."""

    key: str
    resource: str
    born: float
    fresh_until: float
    expires: float
    chosen_by: Chosen
    hops: tuple[Bare, ...]


def encoded(record: Record) -> bytes:
    """``record`` as bytes."""
    head = {
        "key": record.key,
        "resource": record.resource,
        "born": record.born,
        "fresh_until": record.fresh_until,
        "expires": record.expires,
        "chosen_by": record.chosen_by,
        "hops": [
            {
                "status": hop.status_code,
                "reason": hop.reason,
                "url": hop.url,
                "method": hop.method,
                "headers": hop.headers,
                "encoding": hop.encoding,
                "elapsed": hop.elapsed,
                "following": hop.following,
                "size": len(hop.body),
            }
            for hop in record.hops
        ],
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    rest = b"".join([text, *[hop.body for hop in record.hops]])
    front = _FRONT.pack(VERSION, 0, len(text))
    check = zlib.crc32(rest, zlib.crc32(front[_CHECKED:]))
    return b"".join([_FRONT.pack(VERSION, check, len(text)), rest])


def decoded(raw: bytes) -> Record | None:
    """What ``encoded`` was given; None if ``raw`` is anything but that."""
    try:
        version, check, size = _FRONT.unpack_from(raw)
        if version != VERSION or check != zlib.crc32(memoryview(raw)[_CHECKED:]):
            return None
        begin = _FRONT.size
        return _record(json.loads(raw[begin : begin + size]), raw, begin + size)
    # What is not of this form has no key, the wrong type, a number beyond all bounds, or is nested
    # without end: a CRC is no signature.
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError, struct.error):
        return None


def _record(head: Any, raw: bytes, at: int) -> Record:
    hops = []
    for told in head["hops"]:
        end = at + _number(told["size"], 0, len(raw))
        hops.append(_bare(told, raw[at:end]))
        at = end
    if at != len(raw) or not hops:
        raise ValueError("too short or too long")
    return Record(
        _is(str, head["key"]),
        _is(str, head["resource"]),
        _instant(head["born"]),
        _instant(head["fresh_until"]),
        _instant(head["expires"]),
        tuple((_is(str, name), _text(value)) for name, value in head["chosen_by"]),
        tuple(hops),
    )


def _bare(told: Any, body: bytes) -> Bare:
    following = told["following"]
    return Bare(
        _number(told["status"], 100, 999),
        _text(told["reason"]),
        _text(told["url"]),
        _is(str, told["method"]),
        _pairs(told["headers"]),
        _text(told["encoding"]),
        _between(told["elapsed"], 0.0, 1e9),
        None if following is None else _pairs([following])[0],
        body,
    )


def _is(kind: type[T], value: Any) -> T:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is not of {kind}")
    return value


def _text(value: Any) -> str | None:
    return None if value is None else _is(str, value)


def _pairs(value: Any) -> list[tuple[str, str]]:
    pairs = [*map(tuple, value)]
    if {*map(len, pairs)} - {2} or {*map(type, chain(*pairs))} - {str}:
        raise TypeError(f"{value!r} are not pairs of texts")
    return pairs


def _number(value: Any, least: int, most: int) -> int:
    if not least <= _is(int, value) <= most:
        raise ValueError(f"{value} is not from {least} to {most}")
    return value  # type: ignore[no-any-return]


def _between(value: Any, least: float, most: float) -> float:
    if type(value) not in (int, float) or not least <= value <= most:
        raise ValueError(f"{value!r} is not from {least} to {most}")
    return float(value)


def _instant(value: Any) -> float:
    return _between(value, -_LATEST, _LATEST)
