"""The reference: each public name has a docstring, and an example that stands beside it and runs.

The examples are run by test_docs.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests

import browseros_api
import browseros_api.testing
from tests.pages import blocks

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference.md"
TITLE = re.compile(r"^## (.+)$", re.MULTILINE)
DIRECTIVE = re.compile(r"^\.\. auto\w+:: (\S+)\n((?: +.+\n)*)", re.MULTILINE)
CODE = (type(lambda: 0), classmethod, staticmethod, property, cached_property)

each_section = pytest.mark.parametrize("title", TITLE.findall(PAGE.read_text("utf-8")))


def section(title: str) -> tuple[str, set[str]]:
    """Its text, and the names in its examples."""
    text = PAGE.read_text("utf-8")
    _, begin, rest = text.partition(f"## {title}\n")
    inside = TITLE.split(rest)[0]
    first = text[: text.index(begin)].count("\n") + 1
    last = first + inside.count("\n")
    names: set[str] = set()
    for block in blocks(PAGE):
        if first < block.line <= last:
            names |= set(used(block.source))
    return inside, names


def used(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.alias):
            yield node.name


def found(path: str) -> Any:
    """The module, class or function of this path."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except (AttributeError, ImportError):
        return import_module(path)


def shown(text: str) -> Iterator[tuple[str, Any]]:
    """Names and what they stand for, of all that the directives in a text show."""
    for path, options in DIRECTIVE.findall(text):
        thing = found(path)
        if not isinstance(thing, ModuleType):
            yield path.rpartition(".")[2], thing
        listed = re.search(r":members:((?:.|\n)*?)(?=^ +:|\Z)", options, re.MULTILINE)
        left_out = set(re.findall(r"\w+", "".join(re.findall(r"exclude-members:(.*)", options))))
        if listed is not None:
            names = re.findall(r"\w+", listed[1]) or public(thing)
            yield from ((one, member(thing, one)) for one in names if one not in left_out)


def public(thing: Any) -> list[str]:
    """What autodoc shows where nothing is listed; fields are told with their class."""
    if isinstance(thing, ModuleType):
        return [*thing.__all__]
    kinds = [kind for kind in thing.__mro__ if kind.__module__.startswith("browseros_api")]
    own = {name: value for kind in kinds for name, value in vars(kind).items()}
    return [name for name, value in own.items() if name[0] != "_" and isinstance(value, CODE)]


def member(thing: Any, name: str) -> Any:
    return getattr(thing, name) if isinstance(thing, ModuleType) else getattr_static(thing, name)


def getattr_static(kind: type, name: str) -> Any:
    value = inspect.getattr_static(kind, name)
    return getattr(value, "__func__", value)


@each_section
def test_what_a_section_shows_has_a_docstring(title: str) -> None:
    text, _ = section(title)
    for name, thing in shown(text):
        if isinstance(thing, CODE) or inspect.isclass(thing):
            assert (thing.__doc__ or "").strip(), name


@each_section
def test_what_a_section_shows_is_used_in_its_example(title: str) -> None:
    text, names = section(title)
    assert names, "there is no example"
    assert {name for name, _ in shown(text)} <= names


def test_nothing_public_is_missing() -> None:
    titles = TITLE.findall(PAGE.read_text("utf-8"))
    ours = {
        name
        for name in browseros_api.__all__
        if getattr(browseros_api, name) is not getattr(requests, name, None)
        and not hasattr(requests.exceptions, name)
    }
    assert {"Session", "get", "CircuitBreaker"} <= ours
    both = [section(title) for title in titles]
    assert ours | {*browseros_api.testing.__all__} <= {name for _, names in both for name in names}
    text = "".join(text for text, _ in both)
    methods = {name for name, _ in shown(text)}
    assert {"paginate", "get_cached", "explain", "isolate", "DeadlineExceeded"} <= methods
    assert len(methods) > 90


def test_a_name_without_an_example_is_found() -> None:
    text = ".. autoclass:: browseros_api.CircuitBreaker\n   :members: call,\n       isolate\n"
    assert [name for name, _ in shown(text)] == ["CircuitBreaker", "call", "isolate"]
    text = ".. automodule:: browseros_api.terms\n   :members:\n   :exclude-members: UNSET, Hedge\n"
    names = {name for name, _ in shown(text)}
    assert "Bulkhead" in names
    assert not {"UNSET", "Hedge"} & names
    assert {*used("from a import b\nc.d(e)")} == {"b", "c", "d", "e"}
