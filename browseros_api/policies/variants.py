"""Which of the answers that are kept under one key is for a request (RFC 9111, 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..bare import asked_as
from ..pipeline import Call
from ..stores.entry import Entry
from .directives import members

__all__ = ["chosen"]

_LANGUAGE = "accept-language"


def chosen(variants: tuple[Entry, ...], call: Call) -> Entry | None:
    """The one that the headers of ``call`` would have chosen as well."""
    for entry in variants:
        if not entry.chosen_by or entry.chosen_by == entry.snapshot.chosen_by(call.headers):
            return _as_asked(entry, call)
    spoken = _in_the_language_of(call.headers, variants) if variants else None
    return None if spoken is None else _as_asked(spoken, call)


def _as_asked(entry: Entry, call: Call) -> Entry:
    snapshot = asked_as(entry.snapshot, call.asked)  # a store does not know that
    return entry if snapshot is entry.snapshot else replace(entry, snapshot=snapshot)


def _in_the_language_of(headers: Mapping[str, str], variants: tuple[Entry, ...]) -> Entry | None:
    """The one in the language that is wanted most, where the language is all that it varies on."""
    wanted = _wanted_most(headers.get(_LANGUAGE))
    for entry in variants:
        varies_on = [name for name, _ in entry.chosen_by]
        spoken = members(entry.snapshot.headers.get("Content-Language"))
        if varies_on == [_LANGUAGE] and spoken == [wanted]:
            return entry
    return None


def _wanted_most(value: str | None) -> str | None:
    """The one language of the greatest weight; None if there are several, or it cannot be read."""
    weights: dict[str, float] = {}
    for member in members(value):
        language, _, weight = member.replace(" ", "").partition(";q=")
        try:
            weights[language] = float(weight or 1)
        except ValueError:
            return None
    greatest = max(weights.values(), default=0.0)
    first = [language for language, weight in weights.items() if weight == greatest > 0]
    return first[0] if len(first) == 1 and first != ["*"] else None
