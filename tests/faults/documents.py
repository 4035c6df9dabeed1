"""Documents that are not what their Content-Type says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

from tests.faults.case import Case
from tests.faults.talk import OK, Act

__all__ = ["CASES", "DOCUMENTS", "Document"]

Broken = requests.JSONDecodeError


@dataclass(frozen=True)
class Document:
    """A case, and what a client that returns documents makes of it: a value, or an error."""

    case: Case
    told: Any


def sent(body: bytes, kind: str = "json") -> Act:
    return lambda talk: talk.answer(body, kind=kind)


def document(name: str, what: str, body: bytes, told: Any, kind: str = "json") -> Document:
    # A session does not look into bodies: any is as good as another, and may be kept.
    return Document(Case(name, what, sent(body, kind), body=body, kept=True), told)


DOCUMENTS = (
    document("json-invalid", "a broken document", b'{"ok": t', Broken),
    document("json-empty", "nothing, which is called JSON", b"", None),
    document("json-html", "a page that is called JSON", b"<html>Bad Gateway</html>", Broken),
    document("json-bom", "a byte order mark first", b"\xef\xbb\xbf" + OK, {"ok": True}),
    document(
        "json-utf16", "UTF-16, and nobody says so",
        '{"ok": "é"}'.encode("utf-16"), {"ok": "é"},
    ),
    document(
        "json-bad-utf8", "a text that is not UTF-8", b'{"a": "\xff\xfe\xfd("}', Broken,
    ),
    document(
        "json-surrogate", "half of a surrogate pair", rb'{"a": "\ud800"}', {"a": "\ud800"},
    ),
    document(
        "json-nan", "numbers that are none", b'{"a": NaN, "b": Infinity}',
        {"a": float("nan"), "b": float("inf")},
    ),
    document(
        "json-deep", "a hundred thousand lists, each in the other",
        b"[" * 100_000 + b"]" * 100_000, Broken,
    ),
    document("json-bigint", "a number of ten thousand digits", b"[" + b"7" * 10_000 + b"]", Broken),
    document("json-dup-keys", "a name that occurs twice", b'{"a": 1, "a": 2}', {"a": 2}),
    document("json-trailing", "two documents in one body", b'{"a": 1}{"b": 2}', Broken),
    document("json-text-plain", "JSON that is called text", OK, OK.decode(), "text/plain"),
    document(
        "charset-unknown", "a character set that nobody knows",
        b"hello", "hello", "text/plain; charset=klingon",
    ),
    document(
        "charset-lie", "a character set that is not the text's",
        b"caf\xe9", "caf\ufffd", "text/plain; charset=ascii",
    ),
)  # fmt: skip

CASES = tuple(document.case for document in DOCUMENTS)
