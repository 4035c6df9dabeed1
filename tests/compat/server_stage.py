"""A stage that is a real server, for what records what passes."""

from __future__ import annotations

import threading

from browseros_api.testing import ApiServer, Reply
from tests.compat.laws import Said, Stage

__all__ = ["Served"]


class Served(Stage):
    """An ``ApiServer``, with a recorder before it or without."""

    def __init__(self, server: ApiServer) -> None:
        self.server, self.base = server, server.base_url

    def script(self, path: str, *answers: Said, hold: threading.Event | None = None) -> None:
        replies = [
            Reply(said.status, body=said.body, headers=said.headers, hold=hold) for said in answers
        ]
        self.server.script(path, *replies)

    def hits(self, path: str) -> int:
        return self.server.hits(path)
