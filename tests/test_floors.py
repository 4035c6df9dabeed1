"""The house stands: imports run downwards, a library lives in one room, modules look alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.floors import LONGEST, House, Module, looks

ROOT = Path(__file__).resolve().parent.parent
HEAD = '"""What is inside."""\n\nfrom __future__ import annotations\n\n__all__: list[str] = []\n'


def complaints(**imports: str) -> list[str]:
    """What is wrong with modules that hold these lines; ``__`` in a name stands for ``/``."""
    sources = {f"{name.replace('__', '/')}.py": HEAD + line for name, line in imports.items()}
    return House(sources).complaints()


def test_the_house_is_in_order() -> None:
    files = (ROOT / "browseros_api").rglob("*.py")
    base = ROOT / "browseros_api"
    sources = {file.relative_to(base).as_posix(): file.read_text("utf-8") for file in files}
    assert len(sources) > 10
    found = House(sources).complaints()
    assert not found, "\n".join(found)


def test_the_second_name_adds_nothing_of_its_own() -> None:
    assert [file.name for file in (ROOT / "browseros").glob("*.py")] == ["api.py"]
    module = Module("api.py", (ROOT / "browseros" / "api.py").read_text("utf-8"))
    assert list(looks(module)) == []
    assert {name.split(".")[0] for _, name in module.imports()} == {"__future__", "browseros_api"}


@pytest.mark.parametrize(
    "line",
    [
        "from browseros_api.session import Session",
        "from browseros_api import session",
        "import browseros_api.session",
        "import os, browseros_api.session as s",
        "from ..session import Session",
        "from .. import session",
        "def late():\n    from ..session import Session",
        "if TYPE_CHECKING:\n    from ..session import Session",
        "import importlib\nimportlib.import_module('browseros_api.session')",
        "__import__('browseros_api.session')",
    ],
)
def test_no_import_runs_upwards_however_it_is_written(line: str) -> None:
    (complaint,) = complaints(session="", policies__retry=line)
    assert complaint.startswith("policies/retry.py:")
    assert "upwards: session.py is on floor 2, this is on floor 1" in complaint


@pytest.mark.parametrize(
    "line",
    ["from .. import Session", "from browseros_api import Session", "import browseros_api"],
)
def test_the_public_names_are_for_those_above_them(line: str) -> None:
    assert complaints(views__text=line) == []
    (complaint,) = complaints(stores__memory=line)
    assert "upwards: __init__.py is on floor 4, this is on floor 1" in complaint


def test_imports_may_run_downwards() -> None:
    house = House(
        {
            "errors.py": HEAD,
            "journal.py": HEAD + "from .errors import ReadTimeout",
            "policies/__init__.py": "",
            "policies/retry.py": HEAD + "import tenacity\nfrom ..errors import ReadTimeout",
            "session.py": HEAD + "from .policies.retry import Retry\nfrom .policies import retry",
            "__init__.py": HEAD + "from .session import Session",
        }
    )
    assert house.complaints() == []


def test_policies_do_not_know_each_other() -> None:
    (complaint,) = complaints(policies__retry="", policies__cache="from .retry import Retry")
    assert complaint == (
        "policies/cache.py:6: imports policies/retry.py; policies do not know each other"
    )


def test_a_policy_knows_its_own_other_files_and_no_other_policy_does() -> None:
    line = "from .backoff import delay"
    assert complaints(policies__backoff="", policies__retry=line) == []
    assert complaints(policies__backoff="", policies__replay=line) == []
    assert len(complaints(policies__backoff="", policies__cache=line)) == 1


def test_the_rooms_of_the_first_floor_do_not_know_each_other() -> None:
    (complaint,) = complaints(stores__memory="", transport__pool="from ..stores import memory")
    assert "sideways: transport and stores know nothing of each other" in complaint
    assert complaints(stores__memory="", stores__sqlite="from .memory import Store") == []


def test_a_policy_may_know_a_store_but_no_store_a_policy() -> None:
    assert complaints(stores__memory="", policies__cache="from ..stores.memory import Store") == []
    (complaint,) = complaints(policies__cache="", stores__memory="from ..policies import cache")
    assert "sideways: stores and policies know nothing of each other" in complaint


def test_only_views_commands_and_tests_use_the_testing_room() -> None:
    line = "from browseros_api.testing import clock"
    assert complaints(testing__clock="", views__demo=line, cli=line) == []
    (complaint,) = complaints(testing__clock="", session=line)
    assert "testing/clock.py, which is for tests and demonstrations" in complaint


def test_the_testing_room_needs_the_ground_floor_only() -> None:
    assert complaints(errors="", testing__clock="from ..errors import ReadTimeout") == []
    (complaint,) = complaints(session="", testing__clock="from ..session import Session")
    assert "imports session.py; testing stands on floor 0 only" in complaint


@pytest.mark.parametrize(
    ("room", "line", "wrapper"),
    [
        (
            "session",
            "import pybreaker",
            "errors.py, policies/breaker*.py, policies/circuit_breaker.py",
        ),
        ("policies__cache", "from cachetools import LRUCache", "stores/memory.py, stores/front.py"),
        ("policies__breakers", "import tenacity.wait", "policies/retry.py"),
        ("client", "def late():\n    import tqdm.auto", "bars.py"),
    ],
)
def test_a_library_is_named_only_where_it_is_wrapped(room: str, line: str, wrapper: str) -> None:
    (complaint,) = complaints(**{room: line})
    assert complaint.endswith(f"which is wrapped by {wrapper}")


def test_a_library_that_nobody_wraps_is_unknown() -> None:
    (complaint,) = complaints(session="import httpx")
    assert "imports httpx, which no file is listed to wrap in tests/floors.py" in complaint


@pytest.mark.parametrize("room", ["helpers", "helpers__more"])
def test_an_unknown_room_is_asked_for_its_floor(room: str) -> None:
    (complaint,) = complaints(**{room: ""})
    assert "unknown; give 'helpers' a floor in tests/floors.py" in complaint


def test_circles_of_imports_are_found_on_one_floor_too() -> None:
    found = complaints(keys="from .verbs import a", verbs="from .timer import b", timer="import os")
    assert found == []
    found = complaints(
        keys="from .verbs import a", verbs="from .timer import b", timer="from .keys import c"
    )
    assert found == ["a circle of imports: keys -> verbs -> timer -> keys"]


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("x = 1\n" + HEAD[HEAD.index("from") :], "does not open with a docstring"),
        ('"""Inside."""\n__all__ = ["x"]\nx = 1\n', "lacks 'from __future__ import annotations'"),
        (HEAD[: HEAD.index("__all__")] + "x = 1\n", "lacks __all__"),
        (HEAD + "\n" * LONGEST, f"{LONGEST + 5} lines; {LONGEST} are enough"),
    ],
)
def test_what_a_reader_would_miss_is_said(source: str, complaint: str) -> None:
    assert f"keys.py: {complaint}" in House({"keys.py": source}).complaints()


def test_markers_and_private_modules_owe_less() -> None:
    private = HEAD[: HEAD.index("__all__")] + "x = 1\n"
    sources = {
        "stores/__init__.py": "",
        "stores/_rows.py": private,
        "views/__init__.py": '"""V."""',
    }
    assert House(sources).complaints() == []
