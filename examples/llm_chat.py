"""Ask a language model, and survive its API being overloaded for a moment.

    python examples/llm_chat.py                               a server on this machine
    API_KEY=... python examples/llm_chat.py https://api.anthropic.com

The POST is repeated although POST is not idempotent: the client gives it an ``Idempotency-Key``,
the same on each attempt.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from _demo import arguments, target

import browseros_api
from browseros.api import EnhancedAPIClient
from browseros_api.testing import ApiServer, Received, Reply

__all__: list[str] = []


def settings() -> dict[str, Any]:
    return {
        "headers": {
            "X-API-Key": os.environ.get("API_KEY", "your-api-key"),
            "anthropic-version": "2023-06-01",
        },
        "max_retries": 3,
        "timeout": 60.0,
    }


def message(question: str) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-4-20250514",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": question}],
    }


async def chat(base_url: str, question: str) -> None:
    """Awaited."""
    async with EnhancedAPIClient(base_url, **settings()) as client:
        answer = await client.post("/v1/messages", data=message(question))
        print("awaited: ", answer["content"][0]["text"])
        print("          attempts:", client.get_stats()["attempts"])


def chat_blocking(base_url: str, question: str) -> None:
    """The same without a loop."""
    with browseros_api.EnhancedAPIClient(base_url, **settings()) as client:
        answer = client.post("/v1/messages", data=message(question))
        print("blocking:", answer["content"][0]["text"])
        print("          attempts:", client.get_stats()["attempts"])


def furnish(server: ApiServer) -> None:
    """An API that is overloaded at first."""
    keys: list[str] = []

    def answered(request: Received) -> Reply:
        assert request.headers["Idempotency-Key"] == keys.pop(), "one call, one key"
        question = request.json()["messages"][0]["content"]
        return Reply(json={"content": [{"type": "text", "text": f"You said: {question}"}]})

    def busy(request: Received) -> Reply:
        keys.append(request.headers["Idempotency-Key"])
        return Reply(503, headers={"Retry-After": "0"}, json={"error": "try again"})

    server.script("/v1/messages", busy, answered, busy, answered, method="POST")


if __name__ == "__main__":
    given = arguments(__doc__).parse_args()
    with target(given, furnish) as url:
        asyncio.run(chat(url, "Hello, Claude!"))
        chat_blocking(url, "Hello again!")
