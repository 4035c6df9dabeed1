"""Have the latest answer, an older one when the API is down, and a default when there is none.

python examples/graceful_degradation.py                   a server on this machine
python examples/graceful_degradation.py https://api.example.com    one with /rates
"""

from __future__ import annotations

from typing import Any

import requests
from _demo import arguments, target

from browseros_api import EnhancedAPIClient
from browseros_api.testing import ApiServer, Reply

__all__: list[str] = []

A_DAY = 24 * 3600.0
DEFAULT = {"rates": {}, "fallback": True}


def fetch_with_fallback(client: EnhancedAPIClient, endpoint: str) -> tuple[str, Any]:
    """Ask past the cache, but keep the answer for long: it is there when the API is not."""
    try:
        past_the_cache = {"Cache-Control": "no-cache"}
        answer = client.get(endpoint, headers=past_the_cache, cache_ttl=A_DAY, deadline=5.0)
        return "fresh", answer
    except requests.RequestException as error:
        reason = type(error).__name__
        cached = client.get_cached(endpoint)
        if cached is not None:
            return f"kept, since {reason}", cached
        return f"default, since {reason}", DEFAULT


def furnish(server: ApiServer) -> None:
    """Two good answers, and then the service is down."""
    good = [Reply(json={"rates": {"USD": rate}}) for rate in (1.08, 1.09)]
    server.script("/rates", *good, Reply(503, headers={"Retry-After": "0"}))
    server.route("/news", Reply(reset="before"))


if __name__ == "__main__":
    given = arguments(__doc__).parse_args()
    with (
        target(given, furnish) as url,
        EnhancedAPIClient(url, max_retries=1, retry_base_delay=0.1) as shared,
    ):
        for path in ("/rates", "/rates", "/rates", "/news"):
            print(path, *fetch_with_fallback(shared, path))
