"""Whether an answer may be kept at all, and what of it (RFC 9111, 3)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from requests import Response
from urllib3 import HTTPResponse

from .directives import directives, members

__all__ = ["is_keepable", "is_whole", "of_the_connection", "unkept"]

# In TTL mode: 404 and 410 only if the server itself says for how long (see freshness).
_KEEPABLE = frozenset({200, 203, 204, 404, 410})
# In RFC mode: any final status but those that are about another answer, or a part of one.
_NEVER = frozenset({206, 304})
_REGISTERED = frozenset(HTTPStatus)

# Fields of a connection, not of an answer (RFC 9111, 3.1), and two that are used as if they were.
_OF_THE_CONNECTION = frozenset(
    {
        *("connection", "keep-alive", "te", "transfer-encoding", "upgrade", "proxy-connection"),
        *("proxy-authenticate", "proxy-authentication-info", "proxy-authorization"),
    }
)


def is_keepable(response: Response, *, by_rfc: bool) -> bool:
    """Whether the answer, and each redirect on the way to it, may be kept by a private cache."""
    if not (_is_final(response.status_code) if by_rfc else response.status_code in _KEEPABLE):
        return False
    return all(_allows_keeping(hop, by_rfc) for hop in (*response.history, response))


def _is_final(status: int | None) -> bool:
    return (status or 0) >= 200 and status not in _NEVER


def _allows_keeping(hop: Response, by_rfc: bool) -> bool:
    headers = hop.headers
    return (
        all(type(value) is str for value in headers.values())  # an adapter may have made them up
        and not _is_forbidden(hop, by_rfc)
        and "Set-Cookie" not in headers
        and "*" not in headers.get("Vary", "")
        and not _is_dubious(headers)
    )


def _is_forbidden(hop: Response, by_rfc: bool) -> bool:
    control = directives(hop.headers.get("Cache-Control"))
    if by_rfc and "must-understand" in control:  # takes no-store's place for those who do, 5.2.2.3
        return hop.status_code not in _REGISTERED
    return "no-store" in control


def _is_dubious(headers: Mapping[str, str]) -> bool:
    """Whether the headers contradict each other about where the body ends (RFC 9112, 6.3)."""
    length = headers.get("Content-Length")
    if length is None:
        return False
    return "Transfer-Encoding" in headers or not length.strip().isdecimal()


def is_whole(response: Response) -> bool:
    """Whether each body was read, and decoding it came to the end that the coding itself marks.

    A body that was cut before it was sent has a Content-Length that fits and raises nothing: only
    the decoder knows.  What should have had a decoder that can tell, and has not, is taken for cut.
    """
    return all(_is_whole(hop) for hop in (*response.history, response))


def _is_whole(hop: Response) -> bool:
    if not isinstance(hop._content, bytes):
        return False  # a redirect whose body was broken
    codings = members(hop.headers.get("Content-Encoding"))
    if not set(codings) & set(HTTPResponse.CONTENT_DECODERS):
        return True  # nobody has decoded it: it is what was sent
    return _is_finished(getattr(hop.raw, "_decoder", None))


def _is_finished(decoder: Any) -> bool:
    """Whether a decoder of urllib3 (2.0 to 2.8) is at its end; these fields are its own affair."""
    chain = getattr(decoder, "_decoders", None)
    if chain is not None:
        return all(map(_is_finished, chain))
    engine = getattr(decoder, "_obj", None)
    ask = getattr(engine, "is_finished", None)  # brotli's; those of zlib and zstandard have a flag
    return (ask() if callable(ask) else getattr(engine, "eof", None)) is True


def of_the_connection(headers: Mapping[str, str]) -> frozenset[str]:
    """The fields, in lower case, that belong to a connection, or that such a field lists."""
    return _OF_THE_CONNECTION | {*members(headers.get("Connection"))}


def unkept(headers: Mapping[str, str]) -> set[str]:
    """The fields, in lower case, that an answer is kept without.

    Those of the connection, and those that ``no-cache`` names: they would have to be validated
    before each use (RFC 9111, 5.2.2.4), and then they come anew.
    """
    listed = members(directives(headers.get("Cache-Control")).get("no-cache"))
    return {name.lower() for name in headers} & {*of_the_connection(headers), *listed}
