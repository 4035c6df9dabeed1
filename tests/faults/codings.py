"""Bodies that are not coded as their Content-Encoding says."""

from __future__ import annotations

import functools
import gzip
import json
import zlib
from collections.abc import Callable

from requests.exceptions import ContentDecodingError

from tests.faults.case import Case
from tests.faults.talk import OK, Act, Talk

__all__ = ["BOMB", "CASES"]

BOMB = 50_000_000  # bytes that it inflates to
LONG = json.dumps(list(range(5000))).encode()
PACKED = gzip.compress(OK, mtime=0)


@functools.cache
def bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    pieces = [packer.compress(bytes(1_000_000)) for _ in range(BOMB // 1_000_000)]
    return b"".join([*pieces, packer.flush()])


def halved() -> bytes:
    whole = gzip.compress(LONG, mtime=0)
    return whole[: len(whole) // 2]


def corrupted() -> bytes:
    whole = gzip.compress(LONG, mtime=0)
    return whole[:40] + bytes(byte ^ 0xFF for byte in whole[40:80]) + whole[80:]


def mischecked() -> bytes:
    return PACKED[:-8] + bytes(byte ^ 0xFF for byte in PACKED[-8:-4]) + PACKED[-4:]


def raw_deflate() -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(OK) + packer.flush()


def coded(body: bytes | Callable[[], bytes], coding: str = "gzip") -> Act:
    def act(talk: Talk) -> None:
        talk.answer(body if isinstance(body, bytes) else body(), f"Content-Encoding: {coding}")

    return act


CASES = (
    Case("gzip-ok", "allowed: gzip", coded(PACKED), kept=True),
    Case(
        "gzip-bomb", "fifty kilobytes that become fifty megabytes", coded(bomb), body=None,
    ),
    Case(
        "gzip-corrupt", "gzip with a broken stream", coded(corrupted), ends=ContentDecodingError,
    ),
    Case(
        "gzip-truncated", "the first half of a gzip file, of just the length announced",
        coded(halved), body=None,
    ),
    Case(
        "gzip-bad-crc", "gzip with a wrong check sum", coded(mischecked),
        ends=ContentDecodingError,
    ),
    Case(
        "gzip-lie", "plain text that is called gzip", coded(OK), ends=ContentDecodingError,
    ),
    Case(
        "gzip-twice", "allowed: gzip within gzip",
        coded(gzip.compress(PACKED, mtime=0), "gzip, gzip"), kept=True,
    ),
    Case("gzip-empty", "an empty body that is called gzip", coded(b""), body=b""),
    Case(
        "gzip-trailing-junk", "gzip, then bytes that are none", coded(PACKED + b"junk"),
    ),
    Case(
        "deflate-raw", "deflate without its header", coded(raw_deflate, "deflate"), kept=True,
    ),
    Case("encoding-unknown", "a coding that nobody knows", coded(OK, "foo"), kept=True),
    Case(
        "encoding-many", "fifty codings one upon the other",
        coded(OK, ", ".join(["gzip"] * 50)), ends=ContentDecodingError,
    ),
)  # fmt: skip
