"""Requests as requests prepares them; what many have in common is prepared only once."""

from __future__ import annotations

import re
from functools import lru_cache
from http.cookiejar import CookieJar
from operator import attrgetter, itemgetter
from typing import Any, cast

import requests
from requests import PreparedRequest, models, sessions
from requests.cookies import RequestsCookieJar, cookiejar_from_dict, merge_cookies
from requests.structures import CaseInsensitiveDict

__all__ = ["STOCK", "Template", "is_untouched", "merged_cookies", "prepared_url"]

STOCK = requests.Session  # the name may be given to a class of ours later

# What requests prepares with.  Where somebody has put something else in its place, a mock say,
# nothing that was prepared before tells what it would make of a request.
_TOOLS = itemgetter(
    *("CaseInsensitiveDict", "PreparedRequest", "Request", "RequestsCookieJar"),
    *("cookiejar_from_dict", "get_netrc_auth", "merge_cookies", "merge_hooks", "merge_setting"),
    *("get_environ_proxies",),
)
_STEPS = itemgetter("request", "prepare_request", "merge_environment_settings")
# Not all that stands in the class: pickle, for one, leaves a note of its own there.
_PARTS = attrgetter(*[name for name in dir(PreparedRequest) if not name.startswith("__")])


def _tools() -> tuple[Any, ...]:
    encode = models.RequestEncodingMixin._encode_params
    init = PreparedRequest.__init__
    return (_TOOLS(vars(sessions)), _STEPS(vars(STOCK)), _PARTS(PreparedRequest), init, encode)


_ORIGINALS = _tools()


def is_untouched() -> bool:
    """Whether requests prepares requests itself, as it always has."""
    return _tools() == _ORIGINALS


def prepared_url(url: str | bytes, params: Any, defaults: Any) -> str:
    """``url`` with its parameters, as it will be asked for; ``defaults`` are the session's.

    Of plain URLs requests is only asked for the origin: that takes a twentieth of the time.
    """
    if type(url) is str and _PLAIN.fullmatch(url):
        added = _encoded(params, defaults) if params or defaults else ""
        if not added or (type(added) is str and _PLAIN_QUERY.fullmatch(added)):
            origin, place = _split(url)
            mark = ("&" if "?" in place else "?") if added else ""
            return f"{_prepared_origin(origin)}{place}{mark}{added}"
    return _asked_of_requests(url, _merged(params, defaults))


def _encoded(params: Any, defaults: Any) -> Any:
    """As a query.  Of words and numbers it is plain what requests would make: 1 us and not 17."""
    if type(params) is dict and not defaults:
        pairs = [
            f"{name}={value}"
            for name, value in params.items()
            if type(name) is str and type(value) in (str, int)
        ]
        added = "&".join(pairs)
        if len(pairs) == len(params) == added.count("=") and _PLAIN_PAIRS.fullmatch(added):
            return added
    return PreparedRequest._encode_params(_merged(params, defaults))


def _merged(params: Any, defaults: Any) -> Any:
    return sessions.merge_setting(params or {}, defaults)


def _asked_of_requests(url: str | bytes, params: Any) -> str:
    request = PreparedRequest()
    request.prepare_url(url, params)
    return str(request.url)


# After an origin, segments that begin with no dot, and a query that is not empty, of characters
# which every step of preparing a URL leaves as they are, and where they are.
_PLAIN = re.compile(r"(?i:https?)://[^/?#\\\s]+/(?!\.|.*/\.)[\w.~/-]*(\?[\w.~=&-]+)?", re.ASCII)
_PLAIN_PAIRS = re.compile(r"[\w.~-]*=[\w.~-]*(&[\w.~-]*=[\w.~-]*)*", re.ASCII)
_PLAIN_QUERY = re.compile(r"[\w.~=&+-]*", re.ASCII)


def _split(url: str) -> tuple[str, str]:
    end = url.index("/", url.index("://") + 3)
    return url[:end], url[end:]


@lru_cache(1024)
def _prepared_origin(origin: str) -> str:
    return _asked_of_requests(f"{origin}/", None).removesuffix("/")


def merged_cookies(session: requests.Session, given: Any) -> RequestsCookieJar:
    """All cookies that a request could send: those ``given`` before the session's."""
    jar = given if isinstance(given, CookieJar) else cookiejar_from_dict(given or {})
    merged = merge_cookies(merge_cookies(RequestsCookieJar(), session.cookies), jar)
    return cast(RequestsCookieJar, merged)


class Template:
    """A request without a body, which is the same for each URL of an origin, save for the URL.

    ``takes_more`` tells whether cookies and a body can still be put in: whether all its headers are
    those that were given, after which theirs would come.
    """

    __slots__ = ("_bare", "_whole", "takes_more")

    def __init__(
        self, session: requests.Session, method: str, url: str, *, headers: Any, auth: Any
    ) -> None:
        request = requests.Request(method, url, headers=headers, auth=auth)
        prepared = STOCK.prepare_request(session, request)
        self._whole = vars(prepared)
        self._bare = prepared.headers._store
        given = sessions.merge_setting(request.headers, session.headers, CaseInsensitiveDict)
        names = [_native(name).lower() for name in given]
        if [*self._bare] == [*names, "content-length"]:  # that of no body: 0
            self._bare = self._bare.copy()
            del self._bare["content-length"]
        self.takes_more = [*self._bare] == names

    def request(self, url: str) -> PreparedRequest:
        """A new one, without a body."""
        return self._filled(url, self._whole["headers"]._store)

    def request_with(
        self, url: str, *, data: Any, json: Any, extra: tuple[str, str] | None, cookies: Any
    ) -> PreparedRequest:
        """A new one with cookies and a body; an ``extra`` header comes after those given."""
        request = self._filled(url, self._bare)
        if extra is not None:
            request.headers[extra[0]] = extra[1]
        if cookies is not None:
            request.prepare_cookies(cookies)
        request.prepare_body(data or {}, [], json)
        return request

    def _filled(self, url: str, store: Any) -> PreparedRequest:
        headers: CaseInsensitiveDict[Any] = CaseInsensitiveDict.__new__(CaseInsensitiveDict)
        headers._store = store.copy()
        request = PreparedRequest.__new__(PreparedRequest)
        own = request.__dict__
        own.update(self._whole)
        own["url"], own["headers"] = url, headers
        own["_cookies"], own["hooks"] = RequestsCookieJar(), {"response": []}
        return request


def _native(name: Any) -> str:
    return name.decode("ascii") if isinstance(name, bytes) else str(name)
