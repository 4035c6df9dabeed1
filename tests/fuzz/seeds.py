"""What each target is fed first: what is quite ordinary, and chance would take years to find."""

from __future__ import annotations

import json

__all__ = ["SEEDS"]

_DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: " + _DATE + b"\r\n"


def _record() -> bytes:
    """A kept answer after a redirect, without its checksum, which the target puts in."""
    hop = {
        **{"status": 200, "reason": "OK", "url": "http://127.0.0.1/x", "method": "GET"},
        **{"headers": [["ETag", '"1"']], "encoding": "utf-8", "elapsed": 0.1},
        **{"following": None, "size": 2},
    }
    head = {
        **{"key": "k", "resource": "r", "born": 1e9, "fresh_until": 1.1e9, "expires": 1.2e9},
        **{"chosen_by": [["Accept", None]], "hops": [{**hop, "status": 302}, hop]},
    }
    text = json.dumps(head).encode()
    return b"%d\n%b%b" % (len(text), text, b"{}[]")


SEEDS: dict[str, tuple[bytes, ...]] = {
    "retry-after": (b"120", _DATE, b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"),
    "cache": (
        b"max-age=60, stale-if-error=30\n\nFri, 15 Jan 2027 07:59:50 GMT\n5",
        b'public, max-age="60", s-maxage=9, stale-while-revalidate=9',
        b"\nFri, 15 Jan 2027 09:00:00 GMT\nFri, 15 Jan 2027 08:00:00 GMT\n0\n"
        + _DATE
        + b"\nAccept",
    ),
    "words": (b'no-cache="Set-Cookie", max-age=60', b"60", _DATE, b'W/"a", "b"'),
    "limits": (
        b'"burst";r=5;t=1, "day";r=900;t=40000\n"burst";q=10;w=1',
        b"limit=100, remaining=50, reset=5",
        b"\n\n" + _DATE + b"\n100, 100;w=60\n50\n30",
        b"\n\n\n\n\n\n100\n50\n2027-01-15T08:00:01Z",
        b"\n\n\n\n\n\n100\n50\n6m0.5s",
    ),
    "links": (
        b'<https://127.0.0.1/x?page=2>; rel="next", </x?page=9>; rel="last"',
        b"<?after=7>; rel='prev next'; title=x",
    ),
    "demands": (
        b"bytes=0-5",
        b"bytes=-5",
        b'\nW/"v1", "v2"',
        b"bytes=5-\n\n\nno-cache\n\n" + b'"v1"',
    ),
    "records": (_record(),),
    "heads": (
        _OK + b"Content-Length: 2\r\n\r\n{}",
        _OK + b"Transfer-Encoding: chunked\r\nVary: a\r\nvary: b\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 204\r\nServer: x\r\n\r\n",
    ),
    "bodies": (
        b'application/json\n{"a": [1, "\\u00e9"]}',
        b"application/problem+json; charset=utf-16\n" + '{"a": null}'.encode("utf-16"),
        b"text/plain; charset=latin-1\ncaf\xe9",
    ),
}
