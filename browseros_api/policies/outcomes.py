"""What came of an attempt: an answer, or an error that is handed on like one."""

from __future__ import annotations

import requests
from requests import exceptions

from ..errors import CircuitOpenError, DeadlineExceeded, PoolTimeout, let_go
from ..refusals import LimitExceeded

__all__ = ["Outcome", "attach", "discard", "is_transient", "told"]

Outcome = requests.Response | requests.RequestException

_TRANSIENT = (requests.ConnectionError, requests.Timeout, exceptions.ChunkedEncodingError)
_PERMANENT = (  # these win where an error is of both kinds
    exceptions.SSLError,
    exceptions.InvalidURL,
    exceptions.InvalidHeader,
    exceptions.MissingSchema,
    exceptions.InvalidSchema,
    exceptions.InvalidJSONError,
    exceptions.ContentDecodingError,
    exceptions.TooManyRedirects,
    exceptions.RetryError,
    CircuitOpenError,
    PoolTimeout,
    DeadlineExceeded,
    LimitExceeded,
)


def is_transient(error: requests.RequestException) -> bool:
    """Whether asking again may end otherwise."""
    return isinstance(error, _TRANSIENT) and not isinstance(error, _PERMANENT)


def discard(outcome: Outcome) -> None:
    """Give back what an outcome holds that goes to nobody: a connection, or what frames hold."""
    if isinstance(outcome, requests.RequestException):
        let_go(outcome)
    elif outcome.raw is not None:
        outcome.close()


def attach(failure: Exception, outcome: Outcome) -> None:
    """Let the traceback of an error tell of a ``failure`` too, and lose nothing it told before."""
    if isinstance(outcome, requests.RequestException):
        failure.__context__, outcome.__context__ = outcome.__context__, failure


def told(outcome: Outcome) -> str:
    """A few words for the journal: never the text of an error, which quotes the URL's secrets."""
    if not isinstance(outcome, requests.RequestException):
        return str(outcome.status_code)
    name, within = type(outcome).__name__, outcome.args[0] if outcome.args else None
    reason = getattr(within, "reason", None) or within
    return f"{name} ({type(reason).__name__})" if isinstance(reason, Exception) else name
