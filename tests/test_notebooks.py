"""Laws of notebooks: those that are shown run as they are, and a cell can be interrupted."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browseros_api.testing import ApiServer, Reply, wait_until
from tests.kernels import Kernel, executed

for needed in ("IPython", "ipykernel", "nbclient", "pandas"):  # the extra notebooks
    pytest.importorskip(needed)

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

# What each notebook shows, as patterns.
SHOWN = {
    "flaky_api.ipynb": [
        r"'id': 5, 'price': 10",
        r"<svg .*attempt 2",
        r"/104",
        r"100 prices, 4 failed: 404 Client Error",
        r"<svg .*104 calls .*4 failed.* asked again",
        r"10 calls, 5 requests: CircuitOpenError",
        r"Circuits.*/stock.*open, 5 failures",
        r"'lamps': None.*'lamps': 7",
        r"EnhancedAPIClient.*rescued.*/prices/{id}",
    ],
    "paginated_to_pandas.ipynb": [
        r"<table.*country",
        r"/40",
        r"^1000$",
        r"<table.*count.*sum.*mean",
        r"EnhancedAPIClient.*hit rate.*20 hits",
        r"<svg .*100 calls .*20 from the cache",
    ],
}


def outputs(cells: list[dict[str, Any]]) -> Iterator[str]:
    """Each thing that was shown: as HTML where it is that, else as text."""
    for cell in cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            shown = data.get("text/html") or output.get("text") or data.get("text/plain") or ""
            yield "".join(shown)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{EXAMPLES}")
    monkeypatch.setenv(
        "IPYTHONDIR", str(tmp_path / "ipython")
    )  # whoever runs the tests may have a profile


@pytest.mark.parametrize("name", SHOWN)
def test_a_notebook_runs_and_shows_what_it_is_there_for(name: str, tmp_path: Path) -> None:
    shown = [*outputs(executed(EXAMPLES / name, tmp_path))]
    for pattern in SHOWN[name]:
        assert any(re.search(pattern, one, re.DOTALL) for one in shown), pattern


def test_every_notebook_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.ipynb")} == SHOWN.keys()


@pytest.mark.parametrize("name", SHOWN)
def test_no_output_is_committed(name: str) -> None:
    for cell in json.loads((EXAMPLES / name).read_text("utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


# -- interrupted, killed -------------------------------------------------------------------------

BATCH = """
from browseros_api import EnhancedAPIClient
client = EnhancedAPIClient({url!r})
endpoints = [f"/items/{{n}}" for n in range(40)]
answers = list(client.get_many(endpoints, max_workers=2, checkpoint={path!r}, progress=True))
print(len(answers), answers[39]["path"])
"""


@pytest.mark.parametrize("end", ["interrupt", "restart"])
def test_a_cell_that_was_ended_goes_on_and_asks_for_what_is_missing(
    api_server: ApiServer, tmp_path: Path, end: str
) -> None:
    go, path = threading.Event(), tmp_path / "run.jsonl"
    api_server.route("/items/20", Reply(json={"path": "/items/20"}, hold=go))
    code = BATCH.format(url=api_server.base_url, path=str(path))
    with Kernel() as kernel:
        kernel.tell("begin", code)
        wait_until(lambda: api_server.hits("/items/20") == 1, timeout=60)
        wait_until(lambda: len(path.read_text("utf-8").splitlines()) >= 20, timeout=60)
        kernel.tell(end)
        heard = dict(kernel.heard())
        if end == "interrupt":
            error = heard["error"]
            assert error["ename"] == "KeyboardInterrupt"
            told = re.fullmatch(r"(\d+) of 40 done; the same call goes on from '(.*)'",
                                error["evalue"])  # fmt: skip
            assert told is not None, error["evalue"]
            assert int(told[1]) <= 20
            assert told[2] == str(path)
        go.set()
        wait_until(lambda: api_server.active_requests == 0, timeout=60)
        api_server.reset_counts()
        before = path.read_text("utf-8").count("\n")
        assert 20 <= before < 40
        shown = "".join(one.get("text", "") for _, one in kernel.run(code))
    assert "40 /items/39" in shown
    assert api_server.hits() <= 40 - before
    assert path.read_text("utf-8").count("\n") == 40


def test_a_card_is_what_a_cell_shows(api_server: ApiServer) -> None:
    code = f"""
from browseros_api import EnhancedAPIClient
client = EnhancedAPIClient({api_server.base_url!r})
client.get("/echo")
"""
    with Kernel() as kernel:
        kernel.run(code)
        for expression in (
            "client", "client.session", "client.get_stats()", "client.cache",
            "client.get_circuit_breaker_status()", "client.last_trace", "client.timeline()",
        ):  # fmt: skip
            shown = dict(kernel.run(expression))["execute_result"]["data"]
            assert shown["text/html"].startswith(("<div", "<svg")), expression
            assert shown["text/plain"], expression


def test_a_card_that_is_watched_is_drawn_anew_in_its_place(api_server: ApiServer) -> None:
    code = f"""
from browseros_api import EnhancedAPIClient
client = EnhancedAPIClient({api_server.base_url!r})
calls = [client.submit("GET", f"/delay/0.1?n={{n}}") for n in range(5)]
client.watch(1.0, every=0.1)
"""
    with Kernel() as kernel:
        shown = [one for one in kernel.run(code) if "display_data" in one[0]]
    assert shown[0][0] == "display_data"
    assert len(shown) > 3
    assert {kind for kind, _ in shown[1:]} == {"update_display_data"}
    assert len({content["transient"]["display_id"] for _, content in shown}) == 1
    assert "5 attempts" in shown[-1][1]["data"]["text/html"]


def test_a_cell_that_watches_can_be_interrupted(api_server: ApiServer) -> None:
    code = f"""
import time, urllib.request
from browseros_api import EnhancedAPIClient

def sleep(seconds):
    urllib.request.urlopen({api_server.url("/watching")!r}).close()
    time.sleep(seconds)

client = EnhancedAPIClient({api_server.base_url!r}, sleep=sleep)
client.watch(every=0.05)
print("ended")
"""
    with Kernel() as kernel:
        kernel.tell("begin", code)
        wait_until(lambda: api_server.hits("/watching") >= 3, timeout=60)
        kernel.tell("interrupt")
        heard = kernel.heard()
    assert "error" not in [kind for kind, _ in heard]
    assert heard[-1] == ["stream", {"name": "stdout", "text": "ended\n"}]
