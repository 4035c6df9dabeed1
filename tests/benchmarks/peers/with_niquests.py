"""niquests, which replaces the files of urllib3 and so lives alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import niquests

from tests.benchmarks.peers.site import PAYLOAD, Site, Turn, repeated

__all__ = ["get"]


@contextmanager
def get(site: Site) -> Iterator[Turn]:
    """``niquests.Session.get``."""
    with niquests.Session() as session:
        assert session.get(site.fresh).content == PAYLOAD
        yield repeated(partial(session.get, site.fresh))
