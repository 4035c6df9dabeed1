"""Heads of answers, read in one go if there is nothing odd about them."""

from __future__ import annotations

import http.client
import re
from typing import NamedTuple

__all__ = ["Head", "plain_head"]

_NAME = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # RFC 9110, section 5.1: a token
_VALUE = rb"[\t -~\x80-\xff]*"  # section 5.5: no control characters, and no folding
_PLAIN = re.compile(
    rb"HTTP/1\.1 ([2-9][0-9][0-9])(?: ([ -~]*))?\r\n((?:%b:%b\r\n)*)\r\n" % (_NAME, _VALUE)
)
_LINE = re.compile(r"([^:]*):[ \t]*([^\r]*)\r\n")  # of those that the above has let pass
_LENGTH = re.compile("[0-9]{1,18}")
_MOST_FIELDS = 64  # the standard library allows for 99
_WITHOUT_BODY = (http.client.NO_CONTENT, http.client.NOT_MODIFIED)


class Head(NamedTuple):
    """What a head says.

    Attributes:
        lines: names and values, as they came.
        fields: by name in lower case: the name as it came first, and all its values.
        length: of the body, in bytes; ``None`` if that comes in chunks.
        size: of the head, in bytes, with the blank line at its end.
    """

    status: int
    reason: str
    lines: list[tuple[str, str]]
    fields: dict[str, list[str]]
    length: int | None
    size: int

    def message(self) -> http.client.HTTPMessage:
        """Its lines as the standard library would have them."""
        message = http.client.HTTPMessage()
        message.__dict__["_headers"] = self.lines  # what ``set_raw`` does with each of them
        message.set_payload("")
        return message


def plain_head(received: bytes, method: str | None) -> Head | None:
    """What the head at the beginning of ``received``, asked for by ``method``, says.

    ``None`` unless it is all there and quite ordinary: of HTTP/1.1, to be followed by a body whose
    end is beyond doubt and by other answers.  Whatever is cut, folded, split by bare line feeds or
    too long, or says two things of its body, is the standard library's affair, and urllib3's.
    """
    match = _PLAIN.match(received)
    if match is None:
        return None
    code, reason, text = match.groups(b"")
    lines = _LINE.findall(text.decode("latin-1"))
    fields = _fields(lines)
    if len(lines) > _MOST_FIELDS or _is_odd(fields):
        return None
    status = int(code)
    has_body = status not in _WITHOUT_BODY and method != "HEAD"
    length = _length(fields, has_body=has_body)
    if length == _UNCLEAR:
        return None
    return Head(status, str(reason, "ascii").strip(), lines, fields, length, match.end())


def _fields(lines: list[tuple[str, str]]) -> dict[str, list[str]]:
    fields = dict(zip([name.lower() for name, _ in lines], map(list, lines), strict=True))
    if len(fields) == len(lines):
        return fields
    fields = {}
    for name, value in lines:
        fields.setdefault(name.lower(), [name]).append(value)
    return fields


def _is_odd(fields: dict[str, list[str]]) -> bool:
    # Of messages and multiparts the library's parser would look for the parts in the head.
    kind = fields["content-type"][1].lower() if "content-type" in fields else ""
    return (
        "multipart" in kind
        or "message" in kind
        or ("connection" in fields and "close" in fields["connection"][1].lower())
    )


_UNCLEAR = -1


def _length(fields: dict[str, list[str]], *, has_body: bool) -> int | None:
    coding, length = fields.get("transfer-encoding"), fields.get("content-length")
    if coding is not None:
        is_clear = (
            has_body and length is None and [each.lower() for each in coding[1:]] == ["chunked"]
        )
        return None if is_clear else _UNCLEAR
    if not has_body:
        return 0
    if length is None or len(length) != 2 or not _LENGTH.fullmatch(length[1]):
        return _UNCLEAR
    return int(length[1])
