"""Cells run by a kernel of Jupyter's, from a process of its own: ``python -m tests.kernels``.

Jupyter's own threads and warnings stay out of the process of the tests.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.interrupting import MOMENT

__all__ = ["Kernel", "executed"]

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60  # seconds


def executed(notebook: Path, folder: Path) -> list[dict[str, Any]]:
    """The cells of ``notebook`` with what they show, when it is run in ``folder``."""
    line = [sys.executable, "-m", "tests.kernels", "notebook", str(notebook), str(folder)]
    done = subprocess.run(
        line, cwd=ROOT, capture_output=True, text=True, timeout=2 * PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    cells: list[dict[str, Any]] = json.loads(done.stdout)["cells"]
    return cells


class Kernel:
    """A kernel that does one thing after the other; a ``with`` block."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        line = [sys.executable, "-m", "tests.kernels", "talk"]
        self._process = subprocess.Popen(
            line, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        assert self.heard() == "ready"

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=PATIENCE)

    def tell(self, what: str, code: str = "") -> None:
        """``run`` code, ``interrupt`` it, or ``restart`` the kernel, as if it had been killed."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([what, code]) + "\n")
        self._process.stdin.flush()

    def heard(self) -> Any:
        """The messages that came of the code, as pairs of their type and content."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the kernel is gone"
        return json.loads(line)

    def run(self, code: str) -> list[tuple[str, dict[str, Any]]]:
        """What comes of code that ends by itself."""
        self.tell("run", code)
        return [(kind, content) for kind, content in self.heard()]


# -- in the other process ------------------------------------------------------------------------


def _notebook(path: str, folder: str) -> None:
    import nbformat  # noqa: PLC0415
    from nbclient import NotebookClient  # noqa: PLC0415

    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": folder}}
    NotebookClient(notebook, timeout=PATIENCE, resources=where, coalesce_streams=True).execute()
    print(nbformat.writes(notebook))


def _talk() -> None:
    from jupyter_client.manager import start_new_kernel  # noqa: PLC0415

    manager, client = start_new_kernel()
    print(json.dumps("ready"), flush=True)
    asked = ""
    try:
        for line in sys.stdin:
            what, code = json.loads(line)
            if what == "restart":
                client.stop_channels()
                manager.restart_kernel(now=True)
                client = manager.client()
                client.start_channels()
                client.wait_for_ready(timeout=PATIENCE)
                print(json.dumps([]), flush=True)
            elif what == "interrupt":
                time.sleep(MOMENT)
                manager.interrupt_kernel()
                print(json.dumps(_told(client, asked)), flush=True)
            else:
                asked = client.execute(code)
                if what == "run":
                    print(json.dumps(_told(client, asked)), flush=True)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _told(client: Any, asked: str) -> list[Any]:
    found = []
    while True:
        message = client.get_iopub_msg(timeout=PATIENCE)
        if message["parent_header"].get("msg_id") != asked:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "status" and content["execution_state"] == "idle":
            return found
        found.append((kind, content))


if __name__ == "__main__":
    {"notebook": _notebook, "talk": _talk}[sys.argv[1]](*sys.argv[2:])
