"""A script written for requests; only its import has changed.

python examples/drop_in_session.py                        a server on this machine
python examples/drop_in_session.py https://api.example.com
"""

from __future__ import annotations

from _demo import arguments, target

import browseros_api as requests
from browseros_api.testing import ApiServer, Reply

__all__: list[str] = []


def run(base_url: str) -> None:
    with requests.Session() as session:
        session.headers["Authorization"] = "Bearer your-token"
        for path in ("/users", "/rates", "/rates", "/missing"):
            try:
                answer = session.get(base_url + path, timeout=5)
                answer.raise_for_status()
            except requests.HTTPError as error:
                print(f"{path}: {error}")
            except requests.ConnectionError as error:
                print(f"{path}: no connection, {error}")
            else:
                print(f"{path}: {answer.status_code}, {len(answer.content)} bytes")
        stats = session.get_stats()
    print(
        f"{stats['total_requests']} calls, {stats['attempts']} requests: "
        f"{stats['retries']} retries, {stats['cached_responses']} from the cache"
    )


def furnish(server: ApiServer) -> None:
    """A service that stumbles once, and one that says how long its answer holds."""
    stumble = Reply(503, headers={"Retry-After": "0"})
    server.script("/users", stumble, Reply(json={"users": ["Ada", "Grace"]}))
    server.route("/rates", Reply(json={"EUR": 1.0}, headers={"Cache-Control": "max-age=60"}))
    server.route("/missing", Reply(404))


if __name__ == "__main__":
    given = arguments(__doc__).parse_args()
    with target(given, furnish) as url:
        run(url)
