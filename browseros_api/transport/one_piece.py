"""Connections that write a request in one piece, if it is an ordinary one."""

from __future__ import annotations

import http.client
from typing import Any

from urllib3.connection import HTTPConnection

from .fields import IN_ONE_PIECE, plain_fields
from .genuine import Genuine

__all__ = ["OnePieceConnection"]

_PASSED_BY = Genuine((HTTPConnection, "putheader"), (http.client.HTTPConnection, "putheader"))
_SMALL = 64 * 1024  # bytes of a body that are copied rather than sent on their own


class OnePieceConnection(HTTPConnection):
    """Writes what urllib3 would write, with fewer steps and system calls."""

    _enclosed = b""  # a body that goes with the head
    _buffer: list[bytes]

    def request(
        self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any
    ) -> None:
        """Send a request; the headers as one, and a small body with them."""
        fields = plain_fields(headers) if self._is_plain(options) else None
        if fields is None:
            super().request(method, url, body, headers, **options)
            return
        if isinstance(body, (bytes, str)) and self._goes_with(fields, len(body)):
            self._enclosed = body.encode() if isinstance(body, str) else body
            body = None
        try:
            super().request(method, url, body, fields, **options)
        finally:
            self._enclosed = b""

    def _is_plain(self, options: dict[str, Any]) -> bool:
        return not options.get("chunked") and self.debuglevel == 0 and bool(_PASSED_BY)

    @staticmethod
    def _goes_with(fields: dict[str, Any], size: int) -> bool:
        return "content-length" in fields and "expect" not in fields and size <= _SMALL

    def putheader(self, header: Any, *values: Any) -> None:
        """Put one header, or all of them."""
        if header is IN_ONE_PIECE:
            self._buffer.append(values[0])
        else:
            super().putheader(header, *values)

    def _send_output(self, *arguments: Any, **options: Any) -> None:
        if self._enclosed:
            lines, self._buffer = self._buffer, []
            self.send(b"\r\n".join([*lines, b"", self._enclosed]))
        else:
            super()._send_output(*arguments, **options)  # type: ignore[misc]
