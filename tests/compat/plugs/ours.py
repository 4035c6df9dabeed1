"""For other people's suites: requests' sessions and functions are ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import requests.api
import requests.sessions

import browseros_api
from browseros_api import api

__all__ = ["QuickSession"]

_FUNCTIONS = ("delete", "get", "head", "options", "patch", "post", "put", "request")


class QuickSession(browseros_api.Session):
    """Ours with every policy on; it only waits less before it asks again."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"retry_base_delay": 0.01, **options})


def session() -> QuickSession:
    return QuickSession()


for _module in (requests, requests.sessions):
    setattr(_module, "Session", QuickSession)  # noqa: B010
    setattr(_module, "session", session)  # noqa: B010
for _name in _FUNCTIONS:
    setattr(requests, _name, getattr(api, _name))
    setattr(requests.api, _name, getattr(api, _name))


@pytest.fixture(autouse=True)
def _fresh_engine_for_functions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What one test learns (answers, open circuits) is no business of the next."""
    with QuickSession() as owner:
        monkeypatch.setattr(api, "_owner", owner)
        yield
