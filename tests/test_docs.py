"""The documentation, executed: its Python runs, its links lead somewhere, nothing is left out."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import requests

import browseros_api.aio
import browseros_api.errors
import browseros_api.terms
import browseros_api.testing
from browseros_api import CircuitBreaker, CircuitTerms, EnhancedAPIClient, RetryBudget, Settings
from browseros_api.terms import UNSET
from browseros_api.testing import ApiServer, FakeClock, Received, Reply, no_sleep
from tests.pages import Block, anchors, blocks, links, rows

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
EXAMPLE = "https://api.example.com"

PEOPLE = [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Grace"}]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


# -- running it ----------------------------------------------------------------------------------


def users(request: Received) -> Reply:
    if request.method == "POST":
        return Reply(201, json={"id": 3, **request.json()})
    page = int(request.query.get("page", ["1"])[0])
    return Reply(json={"page": page, "users": PEOPLE})


def orders(request: Received) -> Reply:
    page = int(request.query.get("page", ["1"])[0])
    found = [{"id": 10 * page}, {"id": 10 * page + 1}] if page <= 3 else []
    links = {"Link": f'</orders?page={page + 1}>; rel="next"'} if page < 3 else {}
    return Reply(json={"page": page, "data": found}, headers=links)


def article(request: Received) -> Reply:
    headers = {"Cache-Control": "no-cache", "ETag": '"v1"'}
    is_known = request.headers.get("If-None-Match") == '"v1"'
    return Reply(304, headers=headers) if is_known else Reply(body="a long text", headers=headers)


def furnished(server: ApiServer) -> ApiServer:
    """The API that the documentation talks to.  What is not here answers with the request."""
    server.route("/users", users)
    server.route("/users/123", Reply(json={"id": 123, "name": "Ada"}))
    server.route("/orders", orders)
    server.route("/health", Reply(json={"status": "ok"}))
    server.route("/expensive", Reply(json={"answer": 42}, delay=0.2))
    server.route("/config", Reply(json={"theme": "dark"}))
    server.route("/rates", Reply(json={"EUR": 1.0}, headers={"Cache-Control": "max-age=60"}))
    server.route("/article", article)
    server.script("/fragile", Reply(json={"n": 1}), Reply(503))
    server.route("/missing", Reply(404, json={"error": "not found"}))
    server.route("/down", Reply(503, json={"error": "maintenance"}))
    server.script("/flaky", Reply(503, repeat=2), Reply(json={"ok": True}))
    server.script("/busy", Reply(429, headers={"Retry-After": "0"}), Reply(json={"ok": True}))
    server.route("/slow", Reply(json={"ok": True}, delay=1.0))
    server.route("/page.html", Reply(body="<p>no JSON</p>", content_type="application/json"))
    server.route("/v1/messages", Reply(json={"content": [{"type": "text", "text": "Hello!"}]}))
    return server


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield furnished(server)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def executed(
    block: Block, namespace: dict[str, Any], url: str, loop: asyncio.AbstractEventLoop
) -> list[str]:
    """The lines that the block prints; ``await`` may stand outside of functions in it."""
    source = "\n" * block.line + block.source.replace(EXAMPLE, url)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(source, str(block.page), "exec", flags=flags, dont_inherit=True)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        result = eval(code, namespace)
        if inspect.iscoroutine(result):
            loop.run_until_complete(result)
    return output.getvalue().splitlines()


def try_tests(namespace: dict[str, Any], server: ApiServer) -> None:
    """Run the tests that the page has just defined, with our fixtures."""
    fixtures = {"api_server": server, "fake_clock": FakeClock(), "no_sleep": no_sleep}
    tests = [name for name in namespace if name.startswith("test_")]
    for name in tests:
        test = namespace.pop(name)
        server.reset_counts()
        wanted = {given: fixtures[given] for given in inspect.signature(test).parameters}
        with no_sleep() if "no_sleep" in wanted else contextlib.nullcontext():
            test(**wanted)


def promised(block: Block, url: str) -> list[str]:
    """What the block says that it prints: the comments behind its prints, ``...`` for anything."""
    found = re.findall(r"^ *print\(.*\)  # (.+)$", block.source, flags=re.MULTILINE)
    return [comment.replace(EXAMPLE, url) for comment in found]


def is_printed(wanted: list[str], lines: list[str]) -> bool:
    """Whether the lines are there, in this order, with others between them or not."""
    rest = iter(lines)
    patterns = [re.escape(one).replace(re.escape("..."), ".*") for one in wanted]
    return all(any(re.fullmatch(pattern, line) for line in rest) for pattern in patterns)


def close_all(namespace: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
    for value in [*namespace.values()]:
        if isinstance(value, (requests.Session, EnhancedAPIClient)):
            value.close()
        elif isinstance(value, browseros_api.aio.EnhancedAPIClient):
            loop.run_until_complete(value.close())


@pytest.mark.timeout(240)  # one page starts a cluster
@each_page
def test_what_a_page_shows_runs_and_prints_what_it_says(
    page: Path, server: ApiServer, loop: asyncio.AbstractEventLoop
) -> None:
    namespace: dict[str, Any] = {"__name__": "docs"}
    try:
        for block in blocks(page):
            if block.not_run is None:
                lines = executed(block, namespace, server.base_url, loop)
                wanted = promised(block, server.base_url)
                assert is_printed(wanted, lines), f"{page.name}:{block.line}: {wanted} != {lines}"
                try_tests(namespace, server)
    finally:
        close_all(namespace, loop)


def test_few_blocks_are_not_run() -> None:
    found = [block for page in PAGES for block in blocks(page)]
    skipped = [f"{block.page.name}:{block.line}" for block in found if block.not_run]
    assert len(found) > 40
    assert len(skipped) <= 3, skipped


# -- nothing leads nowhere, nothing is left out --------------------------------------------------


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}"


def test_the_index_names_every_page() -> None:
    linked = {target.partition("#")[0] for target in links(DOCS / "index.md")}
    assert {page.name for page in DOCS.glob("*.md")} - {"index.md"} <= linked


@pytest.mark.parametrize(
    "policy", ["pooling", "deduplication", "retries", "caching", "circuit-breaker"]
)
def test_a_policy_has_what_why_knobs_and_a_picture(policy: str) -> None:
    page = DOCS / f"{policy}.md"
    assert {"what", "why", "knobs"} <= anchors(page)
    assert f"{policy}.svg" in links(page)


def test_every_setting_is_explained_with_its_default() -> None:
    shown = {name: default for name, default, _, _ in rows(DOCS / "configuration.md", 4)}
    assert shown.keys() == Settings.names()
    for field in fields(Settings):
        default = eval(
            shown[field.name], {"__builtins__": {}, "RetryBudget": RetryBudget, "UNSET": UNSET}
        )
        assert default == field.default, field.name


def test_every_term_of_circuits_is_explained_with_its_default() -> None:
    shown = {name: default for name, default, _, _ in rows(DOCS / "circuit-breaker.md", 4)}
    assert shown == {field.name: repr(field.default) for field in fields(CircuitTerms)}


@pytest.mark.parametrize(
    ("kind", "page"),
    [(EnhancedAPIClient, "configuration.md"), (CircuitBreaker, "circuit-breaker.md")],
)
def test_every_argument_is_explained_with_its_default(kind: type, page: str) -> None:
    shown = {(name, default) for name, default, _ in rows(DOCS / page, 3)}
    for name, parameter in inspect.signature(kind).parameters.items():
        default = parameter.default
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        if default is parameter.empty:
            assert (name, "required") in shown
        elif callable(default):
            assert (name, f"{default.__module__ or 'time'}.{default.__name__}") in shown
        else:
            assert (name, repr(default)) in shown


def test_every_figure_is_explained() -> None:
    with EnhancedAPIClient("http://127.0.0.1:9") as client:
        figures = client.get_stats()
    nested = {name: value for name, value in figures.items() if isinstance(value, dict)}
    keys = {*figures, *[key for value in nested.values() for key in value]}
    shown = [name for name, _ in rows(DOCS / "statistics.md", 2)]
    assert sorted(shown) == sorted(keys)


def test_every_public_name_is_explained() -> None:
    code = " ".join(
        span for page in PAGES for span in re.findall(r"`+[^`]+`+", page.read_text("utf-8"))
    )
    ours = [
        name
        for name in browseros_api.__all__
        if getattr(browseros_api, name) is not getattr(requests, name, None)
    ]
    assert "Session" in ours
    reference = (DOCS / "reference.md").read_text("utf-8")
    for name in [*ours, *browseros_api.testing.__all__]:
        assert re.search(rf"\b{name}\b", code), name
        if name not in dir(browseros_api.errors) + dir(browseros_api.terms):  # they are there whole
            assert re.search(rf"\b{name}\b", reference), name
