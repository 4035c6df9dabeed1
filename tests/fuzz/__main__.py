"""``python -m tests.fuzz TARGET [-max_total_time=120]``: atheris, which has to be installed.

It learns from what it tries which bytes lead further, beginning with what is ordinary, and keeps
what it has learned in ``.hypothesis/fuzz``; the options are those of libFuzzer.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Feed a target until something does not hold."""
    try:
        import atheris  # noqa: PLC0415  (not among the extras: it has no wheels for all Pythons)
    except ImportError:
        sys.exit("python -m tests.fuzz needs atheris: pip install atheris")
    with atheris.instrument_imports(include=["browseros_api", "email", "tests.fuzz"]):
        from tests.fuzz.seeds import SEEDS  # noqa: PLC0415
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415
    if not arguments or arguments[0] not in TARGETS:
        sys.exit(f"python -m tests.fuzz TARGET [OPTIONS]; targets: {', '.join(TARGETS)}")
    name, *options = arguments
    corpus = _planted(Path(".hypothesis", "fuzz", name), SEEDS[name])
    atheris.Setup(["fuzz", *options, str(corpus)], TARGETS[name])
    atheris.Fuzz()


def _planted(corpus: Path, seeds: Iterable[bytes]) -> Path:
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    return corpus


if __name__ == "__main__":
    main(sys.argv[1:])
