"""What limits raise: a request that is not sent, since it would be too early or one too many."""

from __future__ import annotations

import requests

__all__ = ["BulkheadFull", "LimitExceeded", "RateLimited"]


class LimitExceeded(requests.RequestException):
    """A limit of the session's own, or one that it heeds, lets nothing more through: not sent.

    Attributes:
        place: the host or endpoint that has the limit.
        retry_after: seconds after which it may be asked again, as far as that is known.
    """

    def __init__(
        self,
        *args: object,
        place: str = "",
        retry_after: float | None = None,
        request: requests.PreparedRequest | None = None,
        response: requests.Response | None = None,
    ) -> None:
        super().__init__(*args, request=request, response=response)
        self.place = place
        self.retry_after = retry_after


class RateLimited(LimitExceeded):
    """It would be too early, and there is no time to wait, or no wish to."""


class BulkheadFull(LimitExceeded):
    """As many requests as may be are under way, and none of them ended in time."""
