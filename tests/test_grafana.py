"""The dashboard, asked of a real Prometheus: each of its questions has an answer."""

from __future__ import annotations

import contextlib
import json
import math
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from browseros_api import CircuitOpenError, EnhancedAPIClient
from browseros_api.testing import ApiServer, Reply
from tests.pages import rows

prometheus = pytest.importorskip("browseros_api.prometheus")
exposition = pytest.importorskip("prometheus_client")

DOCS = Path(__file__).resolve().parent.parent / "docs"
DASHBOARD = json.loads((DOCS / "grafana.json").read_text("utf-8"))
PANELS = DASHBOARD["panels"]
QUESTIONS = {
    f"{panel['title']}: {target['refId']}": target["expr"]
    for panel in PANELS
    for target in panel["targets"]
}
VARIABLES = {"$client": "users", "$endpoint": ".*", "$__rate_interval": "10s", "$__range": "1m"}
PATIENCE = 25.0  # seconds, on a machine that is busy

CONFIG = """
global:
  scrape_interval: 200ms
  scrape_timeout: 200ms
scrape_configs:
  - job_name: browseros_api
    static_configs:
      - targets: ["127.0.0.1:{port}"]
"""


def asked(question: str) -> str:
    """As Grafana asks it, with its variables filled in."""
    for name, value in VARIABLES.items():
        question = question.replace(name, value)
    assert "$" not in question
    return question


# -- a client that has everything happen to it ---------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.script("/users/7", *[Reply(503), Reply(json=1)] * 1000)
        server.route("/slow", Reply(json=1, delay=0.05))
        server.route("/missing", Reply(404))
        server.route("/down", Reply(500))
        yield server


@pytest.fixture(scope="module")
def client(server: ApiServer) -> Iterator[EnhancedAPIClient]:
    options: Any = {"failure_threshold": 3, "sleep": lambda _: None}
    with EnhancedAPIClient(server.base_url, **options) as client:
        yield client


@pytest.fixture(scope="module")
def registry(client: EnhancedAPIClient) -> Any:
    registry = exposition.CollectorRegistry()
    registry.register(prometheus.Collector(client, name="users"))
    return registry


def let_things_happen(client: EnhancedAPIClient) -> None:
    """One of each: rescued, known, not there, refused, and shared with whoever asks as well."""
    client.get("/users/7", use_cache=False)
    client.get("/known")
    for endpoint in ("/missing", "/down"):
        with pytest.raises((requests.HTTPError, CircuitOpenError)):
            client.get(endpoint, use_cache=False)
    with ThreadPoolExecutor(4) as threads:
        for one in [threads.submit(client.get, "/slow", use_cache=False) for _ in range(4)]:
            one.result(10)


# -- a Prometheus that looks at it ---------------------------------------------------------------


class Prometheus:
    """A server of our own, on loopback."""

    def __init__(self, port: int) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._url = f"http://127.0.0.1:{port}"

    def ask(self, what: str, **params: Any) -> Any:
        answer = self._session.get(f"{self._url}/api/v1/{what}", params=params, timeout=10).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def is_ready(self) -> bool:
        with contextlib.suppress(requests.ConnectionError):
            return self._session.get(f"{self._url}/-/ready", timeout=10).ok
        return False

    def values(self, question: str) -> list[tuple[dict[str, str], float]]:
        """What comes of a question, now."""
        found = self.ask("query", query=asked(question))["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def close(self) -> None:
        self._session.close()


def program() -> str:
    """The path of Prometheus, which .ci/run brings along; without it the test is skipped."""
    return shutil.which("prometheus") or pytest.skip("no prometheus: apt-get install prometheus")


@contextlib.contextmanager
def exposed(registry: Any) -> Iterator[int]:
    server, thread = exposition.start_http_server(0, "127.0.0.1", registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture(scope="module")
def watching(registry: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder, path = tmp_path_factory.mktemp("prometheus"), program()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with exposed(registry) as exporter, (folder / "log").open("wb") as log:
        (folder / "prometheus.yml").write_text(CONFIG.format(port=exporter))
        command = [
            path, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        watching = Prometheus(port)
        try:
            until = time.monotonic() + PATIENCE
            while not watching.is_ready():
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.05)
            yield watching
        finally:
            watching.close()
            process.terminate()
            process.wait(10)


# -- the laws ------------------------------------------------------------------------------------


def has_answer(values: list[tuple[dict[str, str], float]]) -> bool:
    """Whether there is a number; of an endpoint that nobody asks any more there is none."""
    return any(not math.isnan(value) for _, value in values)


@pytest.mark.slow
def test_each_question_of_the_dashboard_has_an_answer(
    watching: Prometheus, client: EnhancedAPIClient
) -> None:
    until, open_ones = time.monotonic() + PATIENCE, dict(QUESTIONS)
    while open_ones and time.monotonic() < until:
        let_things_happen(client)
        open_ones = {
            name: question
            for name, question in open_ones.items()
            if not has_answer(watching.values(question))
        }
    assert not open_ones


@pytest.mark.slow
def test_what_has_happened_is_seen(watching: Prometheus, client: EnhancedAPIClient) -> None:
    failed, circuits = QUESTIONS["Failed: A"], QUESTIONS["Circuits: A"]
    saved = "What was saved and what was repeated: {}"
    names = dict(zip("ABCDE", ("shared", "retries", "rescued", "hedged", "rejected"), strict=True))
    wanted = {"shared", "retries", "rescued", "rejected"}  # and nothing was hedged
    until = time.monotonic() + PATIENCE
    seen: set[str] = set()
    while time.monotonic() < until and not seen >= wanted:
        let_things_happen(client)
        seen |= {
            name
            for ref, name in names.items()
            if any(value > 0 for _, value in watching.values(QUESTIONS[saved.format(ref)]))
        }
    assert seen == wanted
    ((_, share),) = watching.values(failed)
    assert 0 < share < 1
    lights = {where["endpoint"]: light for where, light in watching.values(circuits)}
    assert (lights["/down"], lights["/known"]) == (2, 0)
    ((_, count),) = watching.values(QUESTIONS["Circuits open: A"])
    assert count == 1


@pytest.mark.slow
@pytest.mark.parametrize("variable", DASHBOARD["templating"]["list"][1:], ids=lambda v: v["name"])
def test_the_variables_have_something_to_choose_from(
    variable: dict[str, Any], watching: Prometheus, client: EnhancedAPIClient
) -> None:
    match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])
    assert match is not None
    assert variable["query"]["query"] == variable["definition"]
    until, series = time.monotonic() + PATIENCE, []
    while not series and time.monotonic() < until:
        let_things_happen(client)
        series = watching.ask("series", **{"match[]": asked(match[1])})
    assert any(one.get(match[2]) for one in series)


def test_it_shows_all_metrics_that_there_are_and_no_others(
    registry: Any, client: EnhancedAPIClient
) -> None:
    let_things_happen(client)
    found = set(re.findall(r"browseros_api_\w+", " ".join(QUESTIONS.values())))
    shown = {name.removesuffix("_bucket") for name in found}
    metrics = [*registry.collect()]
    assert all(metric.samples for metric in metrics)
    there = {f"{one.name}_total" if one.type == "counter" else one.name for one in metrics}
    assert shown == there
    told = {row[0] for row in rows(DOCS / "metrics.md", 3)}
    assert there <= told


def test_panels_lie_beside_each_other() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken: dict[tuple[int, int], str] = {}
    for panel in PANELS:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert 0 <= x < 24, panel["title"]
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


def test_every_panel_asks_the_data_source_that_is_chosen() -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert DASHBOARD["templating"]["list"][0]["name"] == "datasource"
    for panel in PANELS:
        assert panel["datasource"] == chosen
        assert all(target["datasource"] == chosen for target in panel["targets"])
        assert panel["title"]
        assert panel["description"]
