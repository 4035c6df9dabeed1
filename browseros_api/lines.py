"""What becomes a line of a request must be one line: whoever can break it writes the next one."""

from __future__ import annotations

from typing import Any, cast

from requests import PreparedRequest
from requests.exceptions import InvalidHeader, InvalidURL
from requests.utils import to_key_val_list

__all__ = ["CheckedParts", "check_lines"]


def check_lines(request: PreparedRequest) -> None:
    """Raise unless method, URL and every header are single lines.

    requests looks at the headers that it is given, but not at those that cookies and auth add, nor
    at a request that was changed after it was prepared; http.client lets folded lines pass.

    Raises:
        ValueError: as http.client does for a method; ``InvalidURL`` and ``InvalidHeader``, which
            are ValueErrors too.  None of them shows a value: it may be a secret.
    """
    if _is_broken(request.method):
        raise ValueError(f"method must be one line, not {request.method!r}")
    if _is_broken(request.url):
        raise InvalidURL("the URL has a line break in it", request=request)
    for name, value in _items(request.headers):
        if _is_broken(name) or _is_broken(value):
            raise InvalidHeader(f"header {name!r} has a line break in it", request=request)


class CheckedParts:
    """The part of a session that looks at forms before they are prepared."""

    def prepare_request(self, request: Any) -> PreparedRequest:
        """As in requests; what ``files`` says of the parts of a form must not break a line."""
        if request.files:
            _check_parts(request.files)
        return cast(PreparedRequest, super().prepare_request(request))  # type: ignore[misc]


def _check_parts(files: Any) -> None:
    """Raise unless what ``files`` says of each part of a form is in single lines.

    Names of fields and files need no check: urllib3 escapes them.
    """
    for _, part in to_key_val_list(files or ()):
        said = part[2:] if isinstance(part, (tuple, list)) else ()
        for kind in said[:1]:
            if _is_broken(kind):
                raise InvalidHeader("files: a content type has a line break in it")
        for headers in said[1:2]:
            if any(
                _is_broken(name) or _is_broken(value) for name, value in dict(headers or {}).items()
            ):
                raise InvalidHeader("files: a header of a part has a line break in it")


def _items(headers: Any) -> Any:
    store = getattr(headers, "_store", None)  # requests' own mapping: ten times faster than items()
    return headers.items() if store is None else store.values()


def _is_broken(part: Any) -> bool:
    if isinstance(part, bytes):
        return b"\r" in part or b"\n" in part
    return isinstance(part, str) and ("\r" in part or "\n" in part)
