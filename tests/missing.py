"""What is said where an extra is missing.

``python tests/missing.py`` tries it in an environment that has none of them, and needs nothing
but the library.
"""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

__all__ = ["EXTRAS", "WANTS", "said_without"]

SETUP = configparser.ConfigParser(interpolation=None)
SETUP.read(Path(__file__).resolve().parent.parent / "setup.cfg", "utf-8")
# For those who work on the library; and what only brings together what others bring.
OTHERS = {"bench", "compat", "dev", "docs", "lint", "notebook", "notebooks", "test"}
EXTRAS = sorted({*SETUP["options.extras_require"]} - OTHERS)

SCREEN = """
import io, os
from browseros_api.cli import main
os.environ["TERM"] = "xterm"
sys.stdout = type("Terminal", (io.StringIO,), {"isatty": lambda self: True})()
main(["monitor", "http://127.0.0.1:9/", "--count", "1", "-n", "5"])
"""

# The library that an extra brings, and what cannot be done without it.
WANTS = {
    "encryption": (
        "cryptography",
        "from browseros_api import Session; Session(store='sqlite:///x.db', store_key='x' * 44)",
    ),
    "limits": ("limits", "from browseros_api import Session; Session(rate_limit='10/second')"),
    "otel": ("opentelemetry", "import browseros_api.otel"),
    "progress": (
        "tqdm",
        "from browseros_api import EnhancedAPIClient\n"
        "[*EnhancedAPIClient('http://127.0.0.1:9').get_many([], progress=True)]",
    ),
    "prometheus": ("prometheus_client", "import browseros_api.prometheus"),
    "redis": (
        "redis",
        "from browseros_api import Session; Session(store='redis://127.0.0.1:9/0')",
    ),
    "terminal": ("rich", SCREEN),
}


def said_without(extra: str) -> str:
    """What a fresh interpreter that has not got the library complains of."""
    library, code = WANTS[extra]
    hidden = f"import sys; sys.modules[{library!r}] = None\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", hidden + code],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    return done.stderr


if __name__ == "__main__":
    from importlib.util import find_spec

    for extra in EXTRAS:
        assert find_spec(WANTS[extra][0]) is None, f"{WANTS[extra][0]} is here"
        last = said_without(extra).splitlines()[-1]
        print(last)
        assert f"pip install 'browseros-api[{extra}]'" in last
