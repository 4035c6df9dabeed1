"""How the pages become a site: ``sphinx-build -W docs build/site``."""

from __future__ import annotations

import re
from typing import Any

import browseros_api

project = "browseros_api"
author = "The browseros_api authors"
copyright = "2026, the browseros_api authors"
release = version = browseros_api.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["build", "_build"]
html_theme = "furo"
html_title = f"browseros_api {release}"

myst_heading_anchors = 3
autodoc_mock_imports = ["opentelemetry", "prometheus_client"]  # extras, which are not needed here
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_default_options = {"show-inheritance": True}


def _add_contents(app: Any, page: str, source: list[str]) -> None:
    """The site's contents are what the first page lists, below the same headings."""
    if page != app.config.root_doc:
        return
    _, *sections = re.split(r"^## ", source[0], flags=re.MULTILINE)
    for section in sections:
        caption, _, text = section.partition("\n")
        pages = re.findall(r"\]\(([\w-]+)\.md\)", text)
        if text.lstrip().startswith("- ["):
            listed = "\n".join(dict.fromkeys(pages))
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _add_contents)
