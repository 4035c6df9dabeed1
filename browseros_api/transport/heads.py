"""Heads of answers, read in one go if there is nothing odd about them."""

from __future__ import annotations

import http.client
import re
from typing import NamedTuple

__all__ = ["Head", "plain_head"]

_NAME = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # RFC 9110, section 5.1: a token
_VALUE = rb"[\t -~\x80-\xff]*"  # section 5.5: no control characters, and no folding
_PLAIN = re.compile(
    rb"HTTP/1\.([01]) ([2-9][0-9][0-9])(?: ([ -~]*))?\r\n((?:%b:%b\r\n)*)\r\n" % (_NAME, _VALUE)
)
_MOST_FIELDS = 64  # the standard library allows for 99


class Head(NamedTuple):
    """What a head says.  ``fields`` has the first value of each name, in lower case."""

    version: int
    status: int
    reason: str
    message: http.client.HTTPMessage
    fields: dict[str, str]
    size: int


def plain_head(received: bytes) -> Head | None:
    """What the head at the beginning of ``received`` says, if it is all there and quite ordinary.

    It says what the standard library would read in it.  ``None`` means that only that can tell:
    whatever is cut, folded, split by bare line feeds, too long, or of another form is its affair.
    """
    match = _PLAIN.match(received)
    if match is None:
        return None
    minor, status, reason, lines = match.groups()
    message = http.client.HTTPMessage()
    fields: dict[str, str] = {}
    count = 0
    for line in lines.decode("latin-1").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        value = value.lstrip(" \t")
        message.set_raw(name, value)
        fields.setdefault(name.lower(), value)
        count += 1
    kind = fields.get("content-type", "").lower()
    if count > _MOST_FIELDS or "multipart" in kind or "message" in kind:
        return None  # too many, or its parser would look for parts in the head
    message.set_payload("")
    return Head(
        10 + int(minor),
        int(status),
        (reason or b"").decode("ascii").strip(),
        message,
        fields,
        match.end(),
    )
