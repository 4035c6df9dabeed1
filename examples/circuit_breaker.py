"""A circuit opens, spares the service, tries again, and closes; and a breaker on its own.

python examples/circuit_breaker.py                        a server on this machine
python examples/circuit_breaker.py https://api.example.com
"""

from __future__ import annotations

import time

import requests
from _demo import arguments, target

from browseros_api import CircuitBreaker, CircuitOpenError, EnhancedAPIClient
from browseros_api.testing import ApiServer, Reply

__all__: list[str] = []


def of_a_client(base_url: str) -> None:
    """Each endpoint has a circuit of its own; these are the settings of all of them."""
    pattern = CircuitBreaker(failure_threshold=3, recovery_timeout=1.0, half_open_max_calls=2)
    with EnhancedAPIClient(base_url, max_retries=0, circuit_breaker=pattern) as client:
        for number in range(1, 11):
            try:
                client.get("/orders", use_cache=False)
                outcome = "an answer"
            except CircuitOpenError as error:
                outcome = f"nothing sent, come back in {error.retry_after:.1f} s"
                time.sleep(error.retry_after)
            except requests.RequestException as error:
                outcome = str(error)
            client.get("/health", use_cache=False)  # another endpoint, another circuit
            status = client.get_circuit_breaker_status()
            print(f"{number:2}  /orders {status['/orders']['state']:9}  {outcome}")
        print("    /health", status["/health"]["state"])


def on_its_own() -> None:
    """Around any function; coroutines work as well."""
    breaker = CircuitBreaker(failure_threshold=2, recovery_timeout=60.0, name="printer")

    @breaker
    def print_page(text: str) -> str:
        raise OSError(f"out of paper at {text!r}")

    for text in ("one", "two", "three"):
        try:
            print_page(text)
        except CircuitOpenError as error:
            print(error)
        except OSError as error:
            print(error)


def furnish(server: ApiServer) -> None:
    """A service that fails three times and then works again."""
    server.script("/orders", Reply(500, repeat=3), Reply(json={"orders": []}))
    server.route("/health", Reply(json={"status": "ok"}))


if __name__ == "__main__":
    given = arguments(__doc__).parse_args()
    with target(given, furnish) as url:
        of_a_client(url)
    on_its_own()
