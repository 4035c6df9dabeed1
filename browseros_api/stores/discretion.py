"""What may not leave the process as it is: answers that repeat their callers' credentials."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit

from requests import PreparedRequest

from ..bare import Bare
from ..journal import is_secret, masked_url

__all__ = ["is_discreet"]

_SHORTEST = 6  # characters; what is shorter stands in any text by chance


def is_discreet(bares: Sequence[Bare], requests: Iterable[Any]) -> bool:
    """Whether the answer says nothing that makes its caller somebody.

    It does if it repeats, wherever, what the caller was recognised by, or if a redirect leads to a
    URL that is itself a key, such as one that was signed.  The first URL is not looked at: it is
    that of whoever asks, and not kept.
    """
    urls = [str(bare.url) for bare in bares[1:]]
    urls += [bare.following[1] for bare in bares if bare.following is not None]
    if any(masked_url(url) != url.partition("#")[0] for url in urls):
        return False
    secrets = {form for request in requests for text in _secrets(request) for form in _forms(text)}
    return not any(_says(bare, secrets) for bare in bares)


def _says(bare: Bare, secrets: set[str]) -> bool:
    head = "\n".join([str(bare.reason), *(value for _, value in bare.headers)])
    return any(
        secret in head or secret.encode("utf-8", "replace") in bare.body for secret in secrets
    )


def _forms(secret: str) -> Iterator[str]:
    """As it is, and as JSON would have it."""
    if len(secret) >= _SHORTEST:
        yield from (secret, json.dumps(secret)[1:-1])


def _secrets(request: Any) -> Iterator[str]:
    if not isinstance(request, PreparedRequest):
        return  # what some mock thinks is one
    for name, value in request.headers.items():
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        if name.lower() == "cookie":
            yield from (pair.partition("=")[2].strip(' "') for pair in text.split(";"))
        elif is_secret(name):
            yield text
            yield from _credentials(text)
    url = str(request.url)
    for pair in re.split("[?&;/#]", url):
        name, _, value = pair.partition("=")
        if value and is_secret(unquote_plus(name)):
            yield from (value, unquote_plus(value))
    place = urlsplit(url)
    yield unquote(place.password or place.username or "")


def _credentials(value: str) -> Iterator[str]:
    """Of a header's value what stands behind its scheme, and the password in that."""
    scheme, _, rest = value.partition(" ")
    yield rest
    if scheme.lower() == "basic":
        try:
            name, _, password = base64.b64decode(rest).decode("utf-8", "replace").partition(":")
        except ValueError:
            return
        yield password or name
