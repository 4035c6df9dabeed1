"""``python -m tests.fuzz TARGET [-max_total_time=120]``: atheris, which has to be installed.

It learns from what it tries which bytes lead further; the options are those of libFuzzer.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Feed a target until something does not hold."""
    try:
        import atheris  # noqa: PLC0415  (not among the extras: it has no wheels for all Pythons)
    except ImportError:
        sys.exit("python -m tests.fuzz needs atheris: pip install atheris")
    with atheris.instrument_imports(include=["browseros_api", "email", "tests.fuzz"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415
    if not arguments or arguments[0] not in TARGETS:
        sys.exit(f"python -m tests.fuzz TARGET [OPTIONS]; targets: {', '.join(TARGETS)}")
    atheris.Setup(["fuzz", *arguments[1:]], TARGETS[arguments[0]])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
