"""The ink of drawings: pieces of SVG in the colours of the page around it, with nothing unsafe."""

from __future__ import annotations

from html import escape

__all__ = ["BAD", "DULL", "FOLLOWS", "GOOD", "KNOWN", "POOR", "opened", "safe", "short", "text"]

# Of middling lightness, so that they stand out from white and from black.
GOOD, BAD, POOR = "#2f9e44", "#d6483f", "#d9822b"
KNOWN, FOLLOWS, DULL = "#3b82d6", "#8e6fd1", "#8a8f98"


def opened(width: int, height: int, title: str) -> str:
    """The beginning of an element of this size, which is scaled down where there is less room."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" style="max-width:100%;height:auto" role="img" fill="currentColor" '
        f'font-family="ui-sans-serif,system-ui,sans-serif" font-size="12">'
        f"<title>{safe(title)}</title>"
    )


def text(x: float, y: float, words: str, style: str = "") -> str:
    """``words`` from a point on; ``style`` are attributes."""
    return f'<text x="{x:.1f}" y="{y}" {style}>{safe(words)}</text>'


def short(words: str, most: int) -> str:
    """``words``, or their beginning if they have more than ``most`` characters."""
    return words if len(words) <= most else f"{words[: most - 1]}…"


def safe(words: str) -> str:
    """As the text of an element, or as the value of an attribute."""
    # XML knows no other control characters, not even escaped.
    return escape("".join(char if char.isprintable() else "?" for char in words))
