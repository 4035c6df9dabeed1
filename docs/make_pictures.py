"""The pictures of these pages, made from real runs: ``python docs/make_pictures.py``."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import trustme

from browseros_api import Session
from browseros_api.testing import ApiServer, Reply

HERE = Path(__file__).resolve().parent

# In a page the picture takes the colours of the text around it.  In a file of its own it has none,
# and has to ask what the reader prefers.
STYLE = """<style>
svg { color: #1f2328 }
@media (prefers-color-scheme: dark) { svg { color: #e6edf3 } }
</style>"""


def traced() -> Any:
    """A call that needs two attempts, over TLS, to a server that is not fast."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    with (
        ApiServer(tls=context) as server,
        authority.cert_pem.tempfile() as certificates,
        Session(retry_base_delay=0.08) as session,
    ):
        server.script(
            "/users",
            Reply(503, delay=0.03),
            Reply(json=[{"id": number} for number in range(200)], delay=0.06, drip=(500, 0.004)),
        )
        server.script("/warm", Reply(503), Reply(json=1))  # what is imported only once is no news
        session.get(server.url("/warm"), verify=certificates).raise_for_status()
        url = server.url("/users?page=1&token=s3cret").replace("127.0.0.1", "localhost")
        return session.get(url, verify=certificates).trace  # type: ignore[attr-defined]


def main() -> None:
    """Write them all."""
    trace = traced()
    picture = trace._repr_html_().replace("<title>", f"{STYLE}<title>", 1)
    (HERE / "trace.svg").write_text(picture + "\n", encoding="utf-8")
    print(trace)


if __name__ == "__main__":
    main()
