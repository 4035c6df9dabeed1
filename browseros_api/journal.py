"""What is written down for people: one readable line per decision, with secrets masked."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from urllib.parse import unquote_plus

__all__ = ["LOGGER", "MASK", "Journal", "is_secret", "masked_headers", "masked_url", "told_seconds"]

LOGGER = logging.getLogger("browseros_api")
LOGGER.addHandler(logging.NullHandler())

MASK = "***"

# Names of headers and query parameters whose values make the caller somebody.
_SECRET = re.compile(
    r"authentication|authori[sz]ation|bearer|cookie|credential|hmac|jwt|passw|passphrase|passcode|secret|signature|"
    r"token|(access|account|api|app|auth|client|private|session|subscription|user)[-_.]?key|"
    r"app[-_.]?id|sess(ion)?[-_.]?id|"
    r"(^|[-_.])(assertion|auth|code|key|oauth|otp|pass|pin|pwd|samlresponse|session|sid|sig|ticket)"
    r"($|[-_.])",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"//[^/?#]*@")
_PAIR = re.compile(r"([^&;=]*)=([^&;]*)")
_MATRIX = re.compile(r"(?<=;)([^;/=]*)=([^;/]*)")  # parameters in a path: ;jsessionid=...
_WITHIN = re.compile(r"([^?&;=#/]+)=")


def is_secret(name: str) -> bool:
    """Whether a header or parameter of this name carries a secret, as far as its name tells."""
    return _SECRET.search(name) is not None and name.lower() != "idempotency-key"


def masked_url(url: str) -> str:
    """``url`` without its userinfo, its fragment and the values of secret parameters.

    What it cannot take apart it masks as well as it can: it never raises.
    """
    place, mark, query = url.partition("#")[0].partition("?")
    place = _MATRIX.sub(_masked_pair, _USERINFO.sub(f"//{MASK}@", place))
    return place + mark + _PAIR.sub(_masked_pair, query)


def _masked_pair(pair: re.Match[str]) -> str:
    name, value = pair.groups()
    return f"{name}={MASK}" if is_secret(unquote_plus(name)) or _tells(value) else pair[0]


def _tells(value: str) -> bool:
    """Whether a value is, say, a URL in which another secret stands."""
    for _ in range(3):
        value = unquote_plus(value)
    return bool(_USERINFO.search(value)) or any(map(is_secret, _WITHIN.findall(value)))


def told_seconds(seconds: float) -> str:
    """As people read it: three digits, or whole seconds if these are more."""
    return f"{seconds:.3g} s" if seconds < 999.5 else f"{seconds:.0f} s"


def masked_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A copy of ``headers`` that may be shown."""
    return {name: MASK if is_secret(name) else value for name, value in headers}


class Journal:
    """Writes lines to the logger ``browseros_api``, if its session was made with ``debug=True``."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        if enabled:
            _make_visible()

    def say(self, message: str, *values: object) -> None:
        """One line; ``values`` are formatted only if somebody reads it."""
        if self.enabled:
            LOGGER.debug(message, *values)


def _make_visible() -> None:
    # debug=True in a plain script is to show something: without any handler logging stays silent.
    if LOGGER.level == logging.NOTSET:
        LOGGER.setLevel(logging.DEBUG)
    own = [handler for handler in LOGGER.handlers if not isinstance(handler, logging.NullHandler)]
    if not own and not logging.getLogger().handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
        LOGGER.addHandler(handler)
