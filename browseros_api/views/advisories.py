"""Which versions of what this library stands on have known weaknesses.

As found on 2026-11-25 in the advisories of the projects, on github.com/advisories and
osv.dev.  What has come later is not here: pip-audit asks for that.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["ADVISORIES", "AS_OF", "Advisory", "weaknesses"]

AS_OF = "2026-11-25"


class Advisory(NamedTuple):
    """Versions from ``since`` on and before ``fixed`` are concerned."""

    package: str
    since: str
    fixed: str
    name: str
    what: str


ADVISORIES = (
    Advisory("requests", "0", "2.32.4", "CVE-2024-47081",
             "sends netrc credentials to the wrong host, by a crafted URL"),
    Advisory("requests", "0", "2.33.0", "CVE-2026-25645",
             "extract_zipped_paths() trusts a file that others may have put there"),
    Advisory("urllib3", "0", "2.5.0", "CVE-2025-50181",
             "redirects cannot be switched off for a whole pool manager"),
    Advisory("urllib3", "1.24", "2.6.0", "CVE-2025-66418",
             "an answer may be compressed any number of times over"),
    Advisory("urllib3", "1.0", "2.6.0", "CVE-2025-66471",
             "a little that is read of a stream may be decompressed to very much"),
    Advisory("urllib3", "1.22", "2.6.3", "CVE-2026-21441",
             "bodies of redirects are decompressed without a bound"),
    Advisory("urllib3", "1.23", "2.7.0", "CVE-2026-44431",
             "redirects through a proxy carry secrets to another origin, in the low-level API"),
    Advisory("urllib3", "2.6.0", "2.7.0", "CVE-2026-44432",
             "what is left of an answer is decompressed without a bound"),
    Advisory("urllib3", "0", "2.8.0", "CVE-2026-97687",
             "TLS settings for an HTTPS proxy may be ignored"),
    Advisory("urllib3", "0", "2.8.0", "CVE-2026-97688",
             "a chunked answer compressed by deflate may be read for ever"),
    Advisory("urllib3", "0", "2.8.0", "CVE-2026-97689",
             "the line before a chunk is read without a bound"),
    Advisory("idna", "0", "3.7", "CVE-2024-3651", "a crafted host name takes very long"),
    Advisory("idna", "0", "3.15", "CVE-2026-45409", "a crafted host name still does"),
    Advisory("certifi", "2021.5.30", "2024.7.4", "CVE-2024-39689",
             "trusts certificates of GLOBALTRUST"),
)  # fmt: skip


def weaknesses(package: str, version: str) -> list[Advisory]:
    """The advisories that concern this version."""
    own = _order(version)
    return [
        one for one in ADVISORIES
        if one.package == package and _order(one.since) <= own < _order(one.fixed)
    ]  # fmt: skip


def _order(version: str) -> tuple[int, ...]:
    """Its numbers, without what says that it is not final, and without zeros at the end."""
    begin = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in begin[0].split(".")] if begin else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
