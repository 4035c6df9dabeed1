"""What may be wrong with an installation, its environment or a session, and what to do about it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any, Literal

import requests

from ..journal import masked_url
from ..session import ResilienceMixin, Session
from ..transport.foreign import IS_FOREIGN
from .advisories import AS_OF, weaknesses

__all__ = ["Finding", "environment", "installation", "of_session", "store"]

_PACKAGES = ("requests", "urllib3", "certifi", "idna")
_PATIENCE = 5.0  # seconds for each step at a store: somebody waits, and no call does

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at: how it is, and what to do where that is a problem."""

    name: str
    level: Level
    text: str
    fix: str = ""

    def to_dict(self) -> dict[str, str]:
        """For a machine to read."""
        return asdict(self)


# -- what is installed -----------------------------------------------------------------------------


def installation() -> Iterator[Finding]:
    """Versions, and whether urllib3 is urllib3."""
    if IS_FOREIGN:
        yield Finding(
            "urllib3", "problem", "urllib3-future lies where urllib3 was; niquests puts it there",
            "pip uninstall niquests urllib3-future; pip install --force-reinstall urllib3"
            " (or live with less: see compatibility.md)",
        )  # fmt: skip
    found = [(name, _version(name)) for name in _PACKAGES]
    for name, version in found:
        if version is not None and not (name == "urllib3" and IS_FOREIGN):
            yield _judged(name, version)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # put there by hand
        return None


def _judged(name: str, version: str) -> Finding:
    known = weaknesses(name, version)
    if not known:
        return Finding(name, "ok", f"{version}, nothing known against it (as of {AS_OF})")
    text = "; ".join(f"{one.name}: {one.what}" for one in known)
    least = known[-1].fixed
    return Finding(name, "problem", f"{version}. {text}", f"pip install '{name}>={least}'")


# -- what the environment says ---------------------------------------------------------------------


def environment(variables: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Proxies and certificates that every session which trusts the environment goes by."""
    proxies = [
        name for name in sorted(variables)
        if name.lower().endswith("_proxy") and name.lower() != "no_proxy" and variables[name]
    ]  # fmt: skip
    for name in proxies:
        fix = f"unset {name}, add hosts to NO_PROXY, or session.trust_env = False"
        yield Finding(name, "note", f"requests go through {masked_url(variables[name])}", fix)
    if not proxies:
        yield Finding("proxies", "ok", "the environment names none")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        path = variables.get(name)
        if path and not os.path.exists(path):
            fix = f"unset {name}, or name a file of certificates"
            text = f"{path} is not there: every https request fails"
            yield Finding(name, "problem", text, fix)
        elif path:
            yield Finding(name, "note", f"certificates are those of {path}")


# -- what a session is -----------------------------------------------------------------------------


def of_session(session: Any, *, threads: int) -> Iterator[Finding]:
    """Whether it waits for ever, multiplies retries, or has too few connections for its threads."""
    if isinstance(session, ResilienceMixin):
        settings = session.settings
        yield _timeout_of(settings)
        yield from _stacked(session, settings.max_retries)
        least = min(settings.max_connections, settings.max_connections_per_host or 2**31)
        yield _pool(least, threads, "max_connections (and max_connections_per_host)")
    else:
        yield Finding(
            "timeout", "problem", "a stock requests.Session waits for ever where none is given",
            "use browseros_api.Session, or timeout=(10, 30) at each call",
        )  # fmt: skip
        sizes = [getattr(one, "_pool_maxsize", threads) for one in session.adapters.values()]
        yield _pool(min(sizes, default=threads), threads, "pool_maxsize of HTTPAdapter")


def _timeout_of(settings: Any) -> Finding:
    parts = settings.timeout if isinstance(settings.timeout, tuple) else (settings.timeout,)
    if settings.deadline is None and settings.attempt_timeout is None and None in parts:
        text = f"timeout={settings.timeout!r}, and no deadline: a silent server is waited for"
        return Finding("timeout", "problem", text, "timeout=(10, 30), or deadline=60")
    bounds = {"timeout": settings.timeout, "deadline": settings.deadline}
    told = ", ".join(f"{name}={value}" for name, value in bounds.items() if value is not None)
    return Finding("timeout", "ok", told or f"attempt_timeout={settings.attempt_timeout}")


def _stacked(session: Any, own: int) -> Iterator[Finding]:
    found = False
    for prefix, adapter in session.adapters.items():
        theirs = getattr(adapter, "max_retries", None)
        total = getattr(theirs, "total", theirs)
        if isinstance(total, int) and not isinstance(total, bool) and total > 0 and own:
            found = True
            yield Finding(
                "retries", "problem",
                f"the adapter of {prefix} retries {total} times, the session {own} times",
                "HTTPAdapter(max_retries=0), or max_retries=0 for the session",
            )  # fmt: skip
    if not found:
        yield Finding("retries", "ok", f"{own}, and none beneath them")


def _pool(connections: int, threads: int, name: str) -> Finding:
    text = f"{connections} connections for {threads} threads"
    if connections >= threads:
        return Finding("pool", "ok", text)
    fix = f"{name}: at least {threads}; or fewer threads"
    return Finding("pool", "problem", f"{text}: {threads - connections} wait", fix)


# -- where answers are kept ------------------------------------------------------------------------


def store(url: str) -> Finding:
    """Whether it can be read."""
    name = f"store {masked_url(url)}"
    if url == "memory://":
        return Finding("store", "ok", "in memory")
    path = os.path.expanduser(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:") and not os.path.exists(path):  # which looking would make
        folder = os.path.dirname(os.path.abspath(path))
        if os.access(folder, os.W_OK):
            return Finding(name, "ok", "the file will be made")
        return Finding(name, "problem", f"{folder} cannot be written to", "name another folder")
    try:
        with Session(store=url, store_timeout=_PATIENCE) as session:
            number = len(session.cache)
            figures = session.get_stats()["store"]
    except (ImportError, ValueError, OSError, requests.RequestException) as error:
        return Finding(name, "problem", str(error), "see stores.md")
    if figures["store_errors"]:
        fix = "start the server, or correct the URL; calls go on without it meanwhile"
        return Finding(name, "problem", "it cannot be read", fix)
    return Finding(name, "ok", f"{number:,} answers")
