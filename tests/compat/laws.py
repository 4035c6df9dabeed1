"""What holds above everything that people put in the place of the network."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from typing import Any

import pytest

from browseros_api import CircuitOpenError, EnhancedAPIClient, Session, aio, api
from tests.flying import PATIENCE, Caller, shows

__all__ = ["OK", "Laws", "Said", "Stage"]


class Said:
    """An answer, in the words that every library has."""

    def __init__(self, status: int = 200, body: bytes = b'{"ok": true}', **headers: str) -> None:
        self.status, self.body = status, body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.headers.setdefault("Content-Type", "application/json")


OK = Said()


class Stage(ABC):
    """Something in the place of the network: a mock, a recorder, a server."""

    base: str

    @abstractmethod
    def script(self, path: str, *answers: Said, hold: threading.Event | None = None) -> None:
        """Answer GETs of ``path`` with these, one after the other; not before ``hold`` is set."""

    @abstractmethod
    def hits(self, path: str) -> int:
        """How many requests for ``path`` came here."""

    def url(self, path: str) -> str:
        return self.base + path


class Laws:
    """To be inherited by a ``Test...`` class in a module that has a fixture ``stage``."""

    def test_a_503_is_asked_again(self, stage: Stage, session: Session) -> None:
        stage.script("/flaky", Said(503), Said(503), OK)
        assert session.get(stage.url("/flaky")).json() == {"ok": True}
        assert stage.hits("/flaky") == 3
        assert session.get_stats()["retries"] == 2

    def test_identical_calls_at_once_become_one(self, stage: Stage, session: Session) -> None:
        go = threading.Event()
        stage.script("/held", OK, hold=go)
        first, second = (Caller(session.get, stage.url("/held")) for _ in range(2))
        try:
            shows(session.engine.flights, "1 in the air, 1 followers")
        finally:
            go.set()
        assert first.value.json() == second.value.json() == {"ok": True}
        assert stage.hits("/held") == 1

    def test_an_endpoint_that_is_down_is_left_alone(self, stage: Stage) -> None:
        stage.script("/down", *[Said(503)] * 4)
        with Session(max_retries=0, failure_threshold=2) as session:
            for _ in range(2):
                assert session.get(stage.url("/down")).status_code == 503
            with pytest.raises(CircuitOpenError):
                session.get(stage.url("/down"))
        assert stage.hits("/down") == 2

    def test_a_stream_is_read_by_the_caller(self, stage: Stage, session: Session) -> None:
        stage.script("/stream", Said(body=b"0123456789"))
        with session.get(stage.url("/stream"), stream=True) as response:
            assert b"".join(response.iter_content(4)) == b"0123456789"

    def test_the_functions_see_it(
        self, stage: Stage, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(api, "_owner", session)  # whose engine they use
        stage.script("/flaky", Said(503), OK)
        assert api.get(stage.url("/flaky")).json() == {"ok": True}
        assert stage.hits("/flaky") == 2

    def test_the_client_sees_it(self, stage: Stage) -> None:
        stage.script("/flaky", Said(503), OK)
        with EnhancedAPIClient(stage.base, retry_base_delay=0.01) as client:
            assert client.get("/flaky") == {"ok": True}
        assert stage.hits("/flaky") == 2

    def test_the_awaited_client_sees_it(self, stage: Stage) -> None:
        stage.script("/flaky", Said(503), OK)

        async def ask() -> Any:
            async with aio.EnhancedAPIClient(stage.base, retry_base_delay=0.01) as client:
                return await asyncio.wait_for(client.get("/flaky"), PATIENCE)

        assert asyncio.run(ask()) == {"ok": True}
        assert stage.hits("/flaky") == 2

    def test_a_fresh_answer_is_kept(self, stage: Stage, session: Session) -> None:
        stage.script("/kept", Said(Cache_Control="max-age=60"))
        answers: list[Any] = [session.get(stage.url("/kept")) for _ in range(3)]
        assert [answer.json() for answer in answers] == [{"ok": True}] * 3
        assert [answer.from_cache for answer in answers] == [False, True, True]
        assert stage.hits("/kept") == 1
