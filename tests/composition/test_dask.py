"""A real cluster of processes: a client is sent to its workers, and they are one client."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from browseros_api import EnhancedAPIClient
from browseros_api.testing import ApiServer, Received, Reply

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CALLS = 1000


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Four processes with two threads each; nobody from outside reaches them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what dask itself is warned of
        import distributed  # noqa: PLC0415

        with distributed.LocalCluster(
            host="127.0.0.1", n_workers=4, threads_per_worker=2, processes=True,
            dashboard_address=None,
        ) as cluster, distributed.Client(cluster) as client:  # fmt: skip
            yield client


def fetch(path: str, client: EnhancedAPIClient) -> tuple[Any, int]:
    return client.get(path), os.getpid()


def test_a_thousand_equal_calls_are_one_and_a_thousand_others_a_thousand(
    cluster: Any, place: str, api_server: ApiServer
) -> None:
    def said(request: Received) -> Reply:
        delay = 0.2 if request.path == "/same" else 0.0
        return Reply(json=request.path, headers={"Cache-Control": "max-age=600"}, delay=delay)

    api_server.route("*", said)
    # A machine that is busy is not a store that is slow.
    client = EnhancedAPIClient(api_server.base_url, store=place, store_timeout=20.0)
    sent = cluster.scatter(client, broadcast=True)
    same = ["/same"] * CALLS
    each = [f"/each/{number}" for number in range(CALLS)]
    futures = cluster.map(fetch, same + each, client=sent, pure=False)
    answers, processes = zip(*cluster.gather(futures), strict=True)
    assert [*answers] == same + each
    assert len(set(processes)) == 4
    assert Counter(one.path for one in api_server.requests) == Counter(["/same", *each])
