"""The pictures of these pages, made from real runs: ``python docs/make_pictures.py``.

It needs the extra ``dev``, nbconvert, and a browser: ``apt-get install chromium``.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import termios
from pathlib import Path
from typing import Any

import nbformat
import trustme
from _camera import THEMES, page_of, photographed, terminal
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from browseros_api import EnhancedAPIClient, Session
from browseros_api.cards.screen import panel
from browseros_api.testing import ApiServer, Reply
from browseros_api.views.rounds import Rounds
from browseros_api.views.screen import drawn

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples"
sys.path.insert(0, str(EXAMPLES))

from _shop import Shop  # noqa: E402

# In a page the picture takes the colours of the text around it.  In a file of its own it has none,
# and has to ask what the reader prefers.
STYLE = """<style>
svg { color: #1f2328 }
@media (prefers-color-scheme: dark) { svg { color: #e6edf3 } }
</style>"""

BATCH = """
import sys
from browseros_api import EnhancedAPIClient
with EnhancedAPIClient(sys.argv[1], retry_base_delay=0.05) as client:
    endpoints = [f"/prices/{number}" for number in range(100)]
    prices = list(client.get_many(endpoints, max_workers=2, progress=True, checkpoint="run.jsonl"))
"""


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


def used() -> EnhancedAPIClient:
    """A client to which all kinds of things have happened."""
    shop = Shop()
    client = EnhancedAPIClient(shop.url, retry_base_delay=0.05, max_connections=5)
    prices = [f"/prices/{number}" for number in range(60)]
    list(client.get_many([*prices, "/prices/100"], max_workers=6, on_error="skip"))
    calls = [client.submit("GET", "/orders", params={"page": page}) for page in (1, 2, 2, 2, 3)]
    for call in calls:
        call.result()
    for number in range(60):
        client.get(f"/prices/{number}")
    shop.fall()
    for _ in range(3):
        client.get("/stock", fallback=None)
    return client


def interrupted(folder: str) -> tuple[str, str]:
    """A batch at a terminal, until Ctrl-C: its bar, and its last word."""
    shop, (mine, its) = Shop(), pty.openpty()
    line = [sys.executable, "-c", BATCH, shop.url]
    termios.tcsetwinsize(its, (24, 96))
    process = subprocess.Popen(line, stderr=its, cwd=folder)
    os.close(its)
    said, is_running = b"", True
    while True:
        try:
            said += os.read(mine, 4096)
        except OSError:  # the other end is closed
            break
        if is_running and re.search(rb"\r [6-8]\d%", said):
            process.send_signal(signal.SIGINT)
            is_running = False
    process.wait(timeout=60)
    lines = said.decode().replace("\r\n", "\n").split("\n")
    *_, bar = (part for line in lines for part in line.split("\r") if "%|" in part)
    return bar, next(line for line in lines if line.startswith("KeyboardInterrupt"))


def watched() -> list[Any]:
    """What ``browseros-api monitor`` has seen after some rounds."""
    with ApiServer() as server:
        moods = [Reply(json=1, delay=0.005 + number % 7 / 300) for number in range(23)]
        server.script("/health", *moods)
        server.script("/search", *moods[:15], Reply(503), Reply(503), *moods[:4], Reply(json=1))
        server.route("/v2", Reply(503))
        urls = [server.url(path) for path in ("/health", "/search", "/v2")]
        rounds = Rounds(urls, {}, max_retries=0)
        with rounds.session:
            for _ in range(30):
                list(rounds.go())
        return rounds.watched


def executed(name: str, folder: str) -> Any:
    """A notebook of the examples with what it shows; its bars as text, which need no script."""
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    plain = "import sys, warnings; sys.modules['ipywidgets'] = None"
    quiet = "warnings.filterwarnings('ignore', 'IProgress')"
    client = NotebookClient(
        notebook, resources={"metadata": {"path": folder}}, coalesce_streams=True,
        extra_arguments=[f"--IPKernelApp.exec_lines={plain}; {quiet}"],
    )  # fmt: skip
    os.environ["PYTHONPATH"] = f"{HERE.parent}{os.pathsep}{EXAMPLES}"
    return client.execute()


def main() -> None:
    """Make them all."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # or what is started ignores it, too
    trace = traced()
    picture = trace._repr_html_().replace("<title>", f"{STYLE}<title>", 1)
    (HERE / "trace.svg").write_text(picture + "\n", encoding="utf-8")
    os.environ["COLUMNS"] = "96"
    terminal(HERE / "trace-terminal.svg", "print(response.trace)", str(trace), width=96)

    client = used()
    timeline = client.timeline(last=130)
    (HERE / "timeline.svg").write_text(timeline.svg + "\n", encoding="utf-8")
    terminal(HERE / "timeline-terminal.svg", "print(client.timeline())", str(timeline), width=96)
    terminal(HERE / "watch.svg", "client.watch()", panel(**client._card()), width=104)
    for theme in THEMES:
        page = page_of(client._repr_html_(), theme, width=800)
        photographed(HERE / f"card-{theme}.png", page, width=820, height=700, scale=1.5)

    with tempfile.TemporaryDirectory() as folder:
        terminal(HERE / "progress.svg", "python prices.py", *interrupted(folder), width=96)
        for name in ("paginated_to_pandas", "flaky_api"):
            notebook = executed(f"{name}.ipynb", folder)
            for theme in THEMES:
                html, _ = HTMLExporter(theme=theme).from_notebook_node(notebook)
                path = HERE / f"{name.replace('_', '-')}-{theme}.png"
                photographed(path, html, width=940, height=3200)
    terminal(HERE / "monitor.svg", "browseros-api monitor URL...", drawn(watched()), width=118)


if __name__ == "__main__":
    main()
