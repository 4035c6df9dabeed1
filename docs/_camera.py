"""How a run becomes a picture: terminals as SVG, pages as PNG in a light and in a dark theme."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

__all__ = ["THEMES", "page_of", "photographed", "terminal"]

# Background and colour of the text, as JupyterLab has them.
THEMES = {"light": ("#ffffff", "#1f2328"), "dark": ("#111111", "#e0e0e0")}

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def terminal(path: Path, title: str, *things: Any, width: int = 100) -> None:
    """What a terminal of so many columns shows of ``things``: text with its codes, or rich's."""
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    for thing in things:
        shown = Text.from_ansi(thing) if isinstance(thing, str) else thing
        console.print(shown, highlight=False, no_wrap=True, crop=True)
    # Without the fonts that it would load from elsewhere.
    form = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    drawn = console.export_svg(title=title, theme=MONOKAI, code_format=form, unique_id=path.stem)
    path.write_text(drawn.rstrip() + "\n", encoding="utf-8")


def page_of(html: str, theme: str, *, width: int) -> str:
    """A page with this inside."""
    ground, ink = THEMES[theme]
    style = f"margin:0;padding:8px;width:{width}px;background:{ground};color:{ink}"
    head = f'<!doctype html><html style="background:{ground}"><meta charset="utf-8">'
    return f'{head}<body style="{style}">{html}</body></html>'


def photographed(path: Path, html: str, *, width: int, height: int, scale: float = 1.0) -> None:
    """``html`` as a browser shows it, without what is empty on the right and at the bottom."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise SystemExit("a browser is needed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        page, shot = Path(folder, "page.html"), Path(folder, "shot.png")
        page.write_text(html, encoding="utf-8")
        line = [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            f"--user-data-dir={folder}/profile", f"--window-size={width},{height}",
            f"--force-device-scale-factor={scale}", f"--screenshot={shot}", page.as_uri(),
        ]  # fmt: skip
        subprocess.run(line, check=True, capture_output=True, timeout=120)
        _cropped(Image.open(shot).convert("RGB"), margin=int(12 * scale)).save(path, optimize=True)


def _cropped(image: Image.Image, *, margin: int) -> Image.Image:
    ground = Image.new("RGB", image.size, image.getpixel((image.width - 1, image.height - 1)))
    _, _, right, bottom = ImageChops.difference(image, ground).getbbox() or (0, 0, *image.size)
    size = (0, 0, min(image.width, right + margin), min(image.height, bottom + margin))
    return image.crop(size).quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
