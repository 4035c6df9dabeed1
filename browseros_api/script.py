"""Scripts and modules, run as ``python`` itself would run them.

In this process and for the rest of its life: what is run becomes ``__main__`` and stays it, so that
its threads, its exit handlers and whoever pickles its classes find it there.  What comes out of it
(``SystemExit``, ``KeyboardInterrupt``, any error) is left to the interpreter, which knows best what
is to become of it; only our own frames are taken from the traceback that is shown.
"""

from __future__ import annotations

import builtins
import io
import os
import pkgutil
import runpy
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.machinery import SourceFileLoader, SourcelessFileLoader
from types import ModuleType, TracebackType
from typing import Any

__all__ = ["Start", "file", "module"]

Start = Callable[[], object]

# A private name, but the one by which the interpreter itself finds it.
_run_as_main: Callable[..., object] = runpy._run_module_as_main  # type: ignore[attr-defined]


def module(name: str, arguments: Sequence[str]) -> Start:
    """What ``python -m name arguments`` would do; nothing has been done until it is called."""

    def start() -> None:
        sys.argv[:] = ["-m", *arguments]
        _search_first(os.getcwd())
        _become_main()
        _shown_alone(_run_as_main, name)

    return start


def file(path: str, arguments: Sequence[str]) -> Start:
    """The same for ``python path arguments``: a script, or a folder or zip with a ``__main__.py``.

    Raises:
        OSError: it cannot be read; its ``filename`` is the absolute path.
    """
    full = os.path.abspath(path) if os.name == "nt" else os.path.join(os.getcwd(), path)
    if pkgutil.get_importer(full) is not None:
        return partial(_start_folder, full, [path, *arguments])
    with io.open_code(full) as source:
        code = source.read()
    return partial(_start_script, full, code, [path, *arguments])


def _start_folder(path: str, line: list[str]) -> None:
    sys.argv[:] = line
    _search_first(path, even_if_safe=True)
    _become_main()
    _shown_alone(_run_as_main, "__main__", alter_argv=False)


def _start_script(path: str, source: bytes, line: list[str]) -> None:
    sys.argv[:] = line
    _search_first(os.path.dirname(os.path.realpath(path)))
    main = _become_main()
    main.__dict__.update(__file__=path, __cached__=None)
    if path.endswith(".pyc"):
        compiled = SourcelessFileLoader("__main__", path)
        main.__loader__ = compiled
        code = _shown_alone(compiled.get_code, "__main__")
    else:
        main.__loader__ = SourceFileLoader("__main__", path)
        code = _shown_alone(compile, source, path, "exec", dont_inherit=True)
    _shown_alone(exec, code, main.__dict__)


def _search_first(folder: str, *, even_if_safe: bool = False) -> None:
    """Put ``folder`` where ``python`` has put the one in which it found us."""
    is_safe = getattr(sys.flags, "safe_path", bool(sys.flags.isolated))  # the first from 3.11 on
    if not is_safe:
        sys.path[0] = folder
    elif even_if_safe:
        sys.path.insert(0, folder)


def _become_main() -> ModuleType:
    main = ModuleType("__main__")
    main.__dict__.update(__builtins__=builtins, __annotations__={})
    _mains.append(sys.modules["__main__"])
    sys.modules["__main__"] = main
    return main


_mains: list[ModuleType] = []  # those before, in whose code we are: they are to live on


def _shown_alone(work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Do ``work``; if it raises, what is shown of that begins in ``work``."""
    try:
        return work(*arguments, **options)
    except SystemExit:
        raise
    except BaseException as error:
        _show_below(error.__traceback__)
        raise


def _show_below(ours: TracebackType | None) -> None:
    below = None if ours is None else ours.tb_next
    hook = sys.excepthook  # python's own, or one that the script has put there

    def show(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
        sys.excepthook = hook
        error.__traceback__ = below  # python's own takes it from here
        hook(kind, error, below)

    sys.excepthook = show
