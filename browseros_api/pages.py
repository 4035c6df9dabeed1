"""What a page says: where the next one is, and what is on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urljoin

from requests import Response
from requests.utils import parse_header_links, to_key_val_list

from .errors import PROCESSED, PaginationError, mark

__all__ = ["Next", "Place", "checked_items", "checked_next", "unfit"]


class Place(NamedTuple):
    """Where a page is: an endpoint and its query parameters."""

    endpoint: str
    params: Any = None

    def with_params(self, changed: Mapping[str, Any]) -> Place:
        """The same place, with other values for these parameters, also where the path has them."""
        path, _, query = self.endpoint.partition("#")[0].partition("?")
        given = self.params.decode() if isinstance(self.params, bytes) else self.params or ()
        pairs = parse_qsl(given, True) if isinstance(given, str) else to_key_val_list(given)
        kept = [pair for pair in [*parse_qsl(query, True), *pairs] if pair[0] not in changed]
        return Place(path, [*kept, *changed.items()])


Next = Callable[[Place, Any, Response], "Place | None"]


def unfit(text: str) -> PaginationError:
    """What is wrong with pages, all of which have come."""
    return mark(PaginationError(text), PROCESSED)


# -- where the next page is ------------------------------------------------------------------------


def checked_next(rule: Any) -> Next:
    """What finds the next page by ``rule``; see ``EnhancedAPIClient.paginate``."""
    if callable(rule):
        return partial(_by_call, rule)
    if rule == "link":
        return _by_link
    kind, _, rest = rule.partition(":") if isinstance(rule, str) else ("", "", "")
    path, arrow, name = (part.strip() for part in rest.partition("->"))
    if kind == "url" and path and not arrow:
        return partial(_by_url, path)
    if kind == "cursor" and path and name:
        return partial(_by_cursor, path, name)
    allowed = '"link", "url:PATH", "cursor:PATH->PARAMETER" or a callable'
    if isinstance(rule, str):
        raise ValueError(f"next must be {allowed}, not {rule!r}")
    raise TypeError(f"next must be {allowed}, not {type(rule).__name__}")


def _by_link(place: Place, page: Any, response: Response) -> Place | None:
    # RFC 8288: relations are case-insensitive, and several may share one link; what has an anchor
    # says something of another page.
    for link in parse_header_links(response.headers.get("Link", "")):
        relations = str(link.get("rel", "")).lower().split()
        if "next" in relations and "anchor" not in link:
            return _at(link["url"], response)
    return None


def _by_url(path: str, place: Place, page: Any, response: Response) -> Place | None:
    url = _found(page, path)
    if not url:
        return None
    if not isinstance(url, str):
        raise unfit(f"{path!r} of the page must be a URL, not {url!r}")
    return _at(url, response)


def _at(url: str, response: Response) -> Place:
    try:
        return Place(urljoin(response.url, url))
    except ValueError as error:
        raise unfit(f"the next page has no place: {error}") from None


def _by_cursor(path: str, name: str, place: Place, page: Any, response: Response) -> Place | None:
    cursor = _found(page, path)
    if not cursor:
        return None
    if not isinstance(cursor, (str, int, float)) or cursor is True:
        raise unfit(f"{path!r} of the page must be a text or a number, not {cursor!r}")
    return place.with_params({name: cursor})


def _by_call(rule: Callable[[Any], Any], place: Place, page: Any, response: Response) -> Any:
    told = rule(page)
    if told is None:
        return None
    if isinstance(told, str):
        return Place(told)
    if isinstance(told, Mapping):
        return place.with_params(told)
    what = "an endpoint, a dict of query parameters, or None"
    raise TypeError(f"next must return {what}, not {type(told).__name__}")


def _found(page: Any, path: str) -> Any:
    """What is at a dotted path; None if it leads nowhere.  Numbers count in lists, -1 is the last.

    A name may have dots in it: ``"@odata.nextLink"``.
    """
    if not isinstance(page, (dict, list)):
        raise unfit(f"a page must be JSON to have {path!r}, not {type(page).__name__}")
    while path and page is not None:
        if isinstance(page, dict) and path in page:
            return page[path]
        name, _, path = path.partition(".")
        page = _part(page, name)
    return page


def _part(page: Any, name: str) -> Any:
    if isinstance(page, dict):
        return page.get(name)
    if isinstance(page, list):
        with suppress(ValueError, IndexError):
            return page[int(name)]
    return None


# -- what is on a page -----------------------------------------------------------------------------


def checked_items(items: Any) -> Callable[[Any], Iterable[Any]]:
    """What finds the items of a page; of None the page itself is the one item."""
    if items is None:
        return lambda page: (page,)
    if callable(items):
        return items  # type: ignore[no-any-return]
    if not isinstance(items, str) or not items:
        raise TypeError(f"items must be a path such as 'data', a callable or None, not {items!r}")
    return partial(_items, items)


def _items(path: str, page: Any) -> Iterable[Any]:
    found = _found(page, path)
    if not isinstance(found, list):
        what = "nothing" if found is None else f"a {type(found).__name__}"
        raise unfit(f"{path!r} of the page must be a list, but there is {what}")
    return found
