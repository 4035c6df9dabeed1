"""A call as an HTTP archive, version 1.2, which the network panels of browsers open."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

__all__ = ["archived"]

_PAGE = "call"
# Which of our phases make up which of the archive's timings; times are in milliseconds there, -1
# says that there was none, and connecting includes TLS.
_TIMINGS = {
    "blocked": ("queue", "rest", "cache", "following", "sleep"),
    "dns": ("lookup",),
    "connect": ("connect", "tls"),
    "ssl": ("tls",),
    "send": ("send",),
    "wait": ("server",),
    "receive": ("body",),
}
_NEEDED = ("send", "wait", "receive")


def archived(told: dict[str, Any]) -> dict[str, Any]:
    """What ``Trace.to_dict`` gives: one entry for each attempt, or one for what was known."""
    started = datetime.fromisoformat(told["started"])
    attempts = told["attempts"] or [_as_attempt(told)]
    page = {
        "startedDateTime": started.isoformat(),
        "id": _PAGE,
        "title": f"{told['method']} {told['url']}",
        "pageTimings": {"onContentLoad": -1, "onLoad": 1000 * told["seconds"]},
        "comment": told["cache_reason"],
    }
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "browseros_api", "version": "1.0"},
            "pages": [page],
            "entries": [_entry(one, started) for one in attempts],
        }
    }


def _as_attempt(told: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: told[name] for name in ("method", "url", "seconds", "status", "error", "phases")},
        "at": 0.0,
        "reason": "",
        "state": "never-sent",
        "decision": told["cache_reason"] if told["cache"] in ("hit", "stale") else told["dedup"],
        "bytes_sent": 0,
        "bytes_received": told["bytes_received"],
        "http_version": "",
        "request_headers": [],
        "response_headers": told["headers"],
    }


def _entry(one: dict[str, Any], started: datetime) -> dict[str, Any]:
    timings = _timings(one["phases"])
    took = sum(value for name, value in timings.items() if name != "ssl" and value >= 0)
    return {
        "pageref": _PAGE,
        "startedDateTime": (started + timedelta(seconds=one["at"])).isoformat(),
        "time": took,
        "request": _request(one),
        "response": _response(one),
        "cache": {},
        "timings": timings,
        "comment": one["decision"] or one["error"] or "",
    }


def _timings(phases: list[dict[str, Any]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, ours in _TIMINGS.items():
        seconds = [one["seconds"] for one in phases if one["phase"] in ours]
        found[name] = 1000 * sum(seconds) if seconds or name in _NEEDED else -1
    return found


def _request(one: dict[str, Any]) -> dict[str, Any]:
    query = parse_qsl(urlsplit(one["url"]).query, keep_blank_values=True)
    return {
        "method": one["method"],
        "url": one["url"],
        "httpVersion": one["http_version"] or "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(one["request_headers"]),
        "queryString": _pairs(query),
        "headersSize": -1,
        "bodySize": _size(one["bytes_sent"]),
    }


def _response(one: dict[str, Any]) -> dict[str, Any]:
    headers = {name.lower(): value for name, value in one["response_headers"]}
    length = headers.get("content-length", "")
    return {
        "status": one["status"] or 0,
        "statusText": one["reason"] or "",
        "httpVersion": one["http_version"] or "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(one["response_headers"]),
        "content": {
            "size": _size(one["bytes_received"]),
            "mimeType": headers.get("content-type", "x-unknown"),
        },
        "redirectURL": headers.get("location", ""),
        "headersSize": -1,
        "bodySize": int(length) if length.isascii() and length.isdigit() else -1,
        **({"_error": one["error"]} if one["error"] else {}),
    }


def _size(count: int | None) -> int:
    return -1 if count is None else count


def _pairs(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]
