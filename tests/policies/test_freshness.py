"""Laws of freshness: what may be kept, and for how long (RFC 9111)."""

from __future__ import annotations

import gzip
import io
import time
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime, formatdate
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from browseros_api.policies.directives import directives, instant, seconds
from browseros_api.policies.freshness import lived_by_rfc, lived_by_ttl
from browseros_api.policies.keeping import is_keepable, is_whole, unkept

NOW = 1_700_000_000.0  # some instant of the wall clock, a whole second


def date(seconds: float) -> str:
    """An HTTP date, that many seconds from now."""
    return formatdate(NOW + seconds, usegmt=True)


def said(**headers: str) -> float | None:
    """Seconds left of what the server says; None if it says nothing."""
    return said_in({name.replace("_", "-"): value for name, value in headers.items()})


def said_in(headers: dict[str, str], *, now: float = NOW) -> float | None:
    said_nothing = -12345.0
    response = requests.Response()
    response.status_code, response._content = 200, b""
    response.headers.update(headers)
    life = lived_by_ttl(response, own=said_nothing, default=0.0, spare=0.0, now=now)
    assert life.fresh == said_nothing, "the caller's word goes before the server's"
    life = lived_by_ttl(response, own=None, default=54321.0, spare=0.0, now=now)
    return None if life.fresh == 54321.0 else life.fresh


def ttl_of(
    response: requests.Response, *, own: float | None = None, default: float | None = None
) -> float:
    return lived_by_ttl(response, own=own, default=default or 0.0, spare=0.0, now=NOW).fresh


def may_keep(response: requests.Response) -> bool:
    return is_keepable(response, by_rfc=False) and is_whole(response)


def answer(
    status: int = 200,
    headers: dict[str, Any] | None = None,
    *,
    body: bytes = b"{}",
    history: list[requests.Response] | None = None,
) -> requests.Response:
    """An answer that has been read, with urllib3's own decoder behind it."""
    raw = HTTPResponse(body=io.BytesIO(body), status=status, headers=headers, preload_content=False)
    request = requests.Request("GET", "http://h/").prepare()
    response = HTTPAdapter().build_response(request, raw)
    response.history = history or []
    assert response.content is not None
    return response


# -- what Cache-Control says -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, {}),
        ("", {}),
        ("no-store", {"no-store": ""}),
        ("NO-STORE", {"no-store": ""}),
        ("max-age=60", {"max-age": "60"}),
        ('max-age="60"', {"max-age": "60"}),
        ("Max-Age = 60", {"max-age": "?"}),
        ("max-age =60", {"max-age": "?"}),
        ("max-age= 60", {"max-age": "?"}),
        ("max-age='60'", {"max-age": "'60'"}),
        ("public,max-age=60", {"public": "", "max-age": "60"}),
        ("public, , ,, max-age=60", {"public": "", "max-age": "60"}),
        ("public max-age=60", {"public": "", "max-age": "60"}),
        ("public; max-age=60", {"public": "", "max-age": "60"}),
        ("max-age=1, max-age=2", {"max-age": "1"}),
        ('private="x, no-store", max-age=60', {"private": "x, no-store", "max-age": "60"}),
        ('ext="a\\"b, no-store"', {"ext": 'a\\"b, no-store'}),
        ('ext="open, no-store', {"ext": '"open', "no-store": ""}),
        ("max-age", {"max-age": ""}),
        ("max-age=", {"max-age": ""}),
        ("=60, no-store", {"60": "", "no-store": ""}),
        ("\tno-cache\t", {"no-cache": ""}),
    ],
)
def test_directives_are_read_however_they_are_spelt(
    value: str | None, expected: dict[str, str]
) -> None:
    assert directives(value) == expected


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ("max-age=60", 60.0),
        ("MAX-AGE=60", 60.0),
        ('max-age="60"', 60.0),
        ("public, max-age=60, must-revalidate", 60.0),
        ("private, max-age=60", 60.0),
        ("max-age=60, max-age=9", 60.0),
        ("max-age=0", 0.0),
        ("max-age=007", 7.0),
        ("max-age=99999999999999999999", 2.0**31),
        ("max-age=" + "9" * 5000, 2.0**31),
        ("max-age=" + "0" * 5000 + "5", 5.0),
        ("no-cache", 0.0),
        ("no-cache, max-age=60", 0.0),
        ('no-cache="X-A", max-age=60', 0.0),
        ("s-maxage=60", None),
        ("public", None),
        ("immutable", None),
    ],
)
def test_max_age_is_how_long_it_stays_fresh(control: str, expected: float | None) -> None:
    assert said(Cache_Control=control) == expected


@pytest.mark.parametrize(
    "junk", ["", "-1", "+60", "60.5", "6e1", "sixty", "60s", "٦٠", "²", "0x10"]
)
def test_a_max_age_that_cannot_be_read_is_stale(junk: str) -> None:
    assert said(Cache_Control=f"max-age={junk}", Expires=date(60)) == 0.0


def test_an_answer_that_says_nothing_says_nothing() -> None:
    assert said() is None
    assert said(ETag='"x"', Last_Modified=date(-1000), Date=date(0), Age="5") is None


# -- Expires, Date and Age -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Expires": date(60)}, 60.0),
        ({"Expires": date(60), "Date": date(0)}, 60.0),
        ({"Expires": date(60) + ", " + date(90)}, 60.0),
        ({"Expires": date(-60)}, 0.0),
        ({"Expires": date(60), "Date": date(60)}, 0.0),
        ({"Expires": date(60), "Date": date(30)}, 30.0),  # a server whose clock is fast
        ({"Expires": date(-60), "Date": date(-120)}, 0.0),  # 60 s of life, 120 of them over
        ({"Expires": date(60), "Date": date(-10)}, 60.0),
        ({"Expires": date(60), "Cache-Control": "max-age=5"}, 5.0),
        ({"Expires": date(60), "Cache-Control": "public"}, 60.0),
        ({"Expires": date(60), "Cache-Control": "no-cache"}, 0.0),
        ({"Expires": date(60), "Age": "20"}, 40.0),
        ({"Expires": date(60), "Age": "61"}, 0.0),
        ({"Cache-Control": "max-age=60", "Age": "20"}, 40.0),
        ({"Cache-Control": "max-age=60", "Age": "20, 50"}, 40.0),
        ({"Cache-Control": "max-age=60", "Age": " 20 "}, 40.0),
        ({"Cache-Control": "max-age=60", "Age": "-20"}, 60.0),
        ({"Cache-Control": "max-age=60", "Age": "old"}, 60.0),
        ({"Cache-Control": "max-age=60", "Age": "9" * 5000}, 0.0),
        ({"Cache-Control": "max-age=60", "Date": date(-20)}, 40.0),
        ({"Cache-Control": "max-age=60", "Date": date(-20), "Age": "30"}, 30.0),
        ({"Cache-Control": "max-age=60", "Date": date(-20), "Age": "10"}, 40.0),
        ({"Cache-Control": "max-age=60", "Date": date(3600)}, 60.0),
        ({"Cache-Control": "max-age=60", "Date": "yesterday"}, 60.0),
    ],
)
def test_the_age_that_it_has_already_is_taken_off(headers: dict[str, str], expected: float) -> None:
    assert said_in(headers) == expected


def test_a_date_of_this_very_second_takes_nothing_off() -> None:
    """Dates are whole seconds: an answer of half a second ago is not older than that."""
    headers = {"Cache-Control": "max-age=1", "Date": date(0)}
    assert said_in(headers, now=NOW + 0.9) == 1.0
    assert said_in(headers, now=NOW + 1.1) == 0.0


@pytest.mark.parametrize(
    "junk",
    ["", "0", "-1", "soon", "Thu, 99 Foo 2024 00:00:00 GMT", "1e9"],
)
def test_an_expires_that_cannot_be_read_is_stale(junk: str) -> None:
    assert said(Expires=junk) == 0.0


@pytest.mark.parametrize(
    "form",
    ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"],
    ids=["IMF-fixdate", "RFC 850", "asctime"],
)
def test_dates_are_utc_in_all_three_forms_wherever_the_machine_is(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert said(Expires=time.strftime(form, time.gmtime(NOW + 60))) == 60.0
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_date_in_another_zone_is_none() -> None:
    zone = timezone(timedelta(hours=9))
    assert said(Expires=format_datetime(datetime.fromtimestamp(NOW + 60, zone))) == 0.0


def test_the_pragma_of_old_servers_counts_where_nothing_newer_is_said() -> None:
    assert said(Pragma="no-cache") == 0.0
    assert said(Pragma="NO-CACHE") == 0.0
    assert said(Pragma="no-cache", Cache_Control="max-age=60") == 60.0
    assert said(Pragma="x") is None


WORDS = st.sampled_from(
    [
        *(
            "max-age",
            "no-store",
            "no-cache",
            "private",
            "=",
            '"',
            ",",
            ";",
            " ",
            "\t",
            "\\",
            "-",
            "0",
        ),
        *(
            "60",
            "9" * 30,
            "GMT",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Wed, 31 Dec 9999 23:59:59 -2359",
        ),
        *("Mon, 01 Jan 0001 00:00:00 +2359", "1 Jan", ":", "*", "é", "\x00"),
    ]
)
HEADER = st.one_of(st.none(), st.lists(WORDS, max_size=8).map("".join), st.text(max_size=30))


@given(HEADER, HEADER, HEADER, HEADER, HEADER, HEADER)
@example(None, "Wed, 31 Dec 9999 23:59:59 -2359", None, None, None, None)
@example(None, "Mon, 01 Jan 0001 00:00:00 +2359", None, None, None, None)
@example(None, "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None, None, None, None)
@example("max-age=60", None, "Mon, 01 Jan 0001 00:00:00 +2359", "9" * 5000, None, None)
def test_no_header_however_strange_raises(
    control: str | None,
    expires: str | None,
    day: str | None,
    age: str | None,
    varied: str | None,
    length: str | None,
) -> None:
    named = {
        "Cache-Control": control, "Expires": expires, "Date": day, "Age": age,
        "Vary": varied, "Content-Length": length, "Content-Encoding": varied,
    }  # fmt: skip
    response = answer()
    response.headers.update({name: value for name, value in named.items() if value is not None})
    assert 0.0 <= ttl_of(response, default=300.0) <= 2.0**40
    life = lived_by_rfc(response, own=None, spare=0.0, now=NOW)
    assert life.fresh <= 2.0**40
    assert life.fresh <= life.kept
    assert life.age >= 0.0
    for by_rfc in (True, False):
        assert is_keepable(response, by_rfc=by_rfc) in (True, False)
    assert unkept(response.headers) <= {name.lower() for name in response.headers}


# -- who goes before whom --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "own", "default", "expected"),
    [
        ({}, None, None, 0.0),  # nothing said, and nothing is kept without permission
        ({}, None, 300.0, 300.0),
        ({"Cache-Control": "max-age=60"}, None, None, 60.0),
        ({"Cache-Control": "max-age=60"}, None, 300.0, 60.0),
        ({"Cache-Control": "max-age=600"}, None, 300.0, 600.0),
        ({"Cache-Control": "max-age=0"}, None, 300.0, 0.0),
        ({"Cache-Control": "no-cache"}, None, 300.0, 0.0),
        ({"Expires": "0"}, None, 300.0, 0.0),
        ({"Cache-Control": "public"}, None, 300.0, 300.0),
        ({"Cache-Control": "max-age=60"}, 5.0, 300.0, 5.0),
        ({"Cache-Control": "no-cache"}, 5.0, 300.0, 5.0),
        ({}, 5.0, None, 5.0),
        ({}, 900.0, 300.0, 900.0),
        ({"Cache-Control": "max-age=60"}, 0.0, 300.0, 0.0),
    ],
)
def test_the_callers_word_goes_before_the_servers_and_that_before_the_clients(
    headers: dict[str, str], own: float | None, default: float | None, expected: float
) -> None:
    assert ttl_of(answer(200, headers), own=own, default=default) == expected


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("own", [None, 600.0, 5.0])
def test_a_missing_thing_is_kept_only_if_the_server_says_how_long_and_not_for_long(
    status: int, own: float | None
) -> None:
    def ttl(headers: dict[str, str]) -> float:
        return ttl_of(answer(status, headers), own=own, default=300.0)

    bound = min(60.0, own or 60.0)
    assert ttl({}) == 0.0
    assert ttl({"Cache-Control": "public"}) == 0.0
    assert ttl({"Cache-Control": "max-age=3"}) == 3.0
    assert ttl({"Cache-Control": "max-age=600"}) == bound
    assert ttl({"Expires": date(600)}) == bound


def test_a_redirect_chain_is_kept_as_long_as_its_least_lasting_hop() -> None:
    def ttl(*hops: dict[str, str], own: float | None = None, default: float | None = None) -> float:
        *ways, last = hops
        chain = answer(200, last, history=[answer(302, way) for way in ways])
        return ttl_of(chain, own=own, default=default)

    long, short, none = ({"Cache-Control": f"max-age={n}"} for n in (90, 9, 0))
    assert ttl(long, short) == ttl(short, long) == ttl(long, short, long) == 9.0
    assert ttl(long, none, long) == 0.0
    assert ttl({}, long) == ttl(long, {}) == 0.0
    assert ttl({}, long, default=300.0) == 90.0
    assert ttl(none, long, own=50.0) == 50.0


# -- what is never kept ----------------------------------------------------------------------------

KEEPABLE = {200, 203, 204, 404, 410}


@pytest.mark.parametrize(
    "status",
    [
        *(101, 200, 201, 202, 203, 204, 205, 206, 226, 300, 301, 302, 303, 304, 307, 308),
        *(400, 401, 403, 404, 405, 408, 410, 412, 414, 416, 425, 429, 451),
        *(500, 501, 502, 503, 504, 599, 999),
    ],
)
def test_only_final_answers_that_mean_themselves_may_be_kept(status: int) -> None:
    kept = answer(status, {"Cache-Control": "max-age=60"}, body=b"")
    assert may_keep(kept) is (status in KEEPABLE)
    assert is_keepable(kept, by_rfc=True) is (status >= 200 and status not in (206, 304))


NEVER: dict[str, dict[str, Any]] = {
    "no-store": {"Cache-Control": "no-store"},
    "no-store among others": {"Cache-Control": "public, max-age=60, No-Store"},
    "no-store with an argument": {"Cache-Control": 'no-store="x"'},
    "a cookie": {"Set-Cookie": "who=alice", "Cache-Control": "max-age=60"},
    "Vary: *": {"Vary": "*"},
    "Vary: * among others": {"Vary": "Accept, *"},
    "two framings": {"Content-Length": "2", "Transfer-Encoding": "chunked"},
    "a length that is no number": {"Content-Length": "abc"},
    "a negative length": {"Content-Length": "-5"},
    "two lengths": {"Content-Length": "2, 2"},
    "a header that is no text": {"X-Made-Up": 5},
    "a length that is no text": {"Content-Length": 2},
}


@pytest.mark.parametrize("headers", NEVER.values(), ids=NEVER)
def test_what_is_never_kept_whoever_wants_it(headers: dict[str, Any]) -> None:
    odd = answer()
    odd.headers.update(headers)
    assert may_keep(odd) is False
    assert may_keep(answer(history=[odd])) is False, "on the way to it"
    assert may_keep(answer(history=[answer(302), odd, answer(302)])) is False


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Length": "2"},
        {"Content-Length": " 2 "},
        {"Transfer-Encoding": "chunked"},
        {"Vary": "Accept, User-Agent"},
        {"Cache-Control": "no-cache"},
        {"Cache-Control": 'private="no-store"'},
        {"Content-Encoding": ""},
        {"Content-Encoding": "identity"},
    ],
)
def test_what_may_be_kept(headers: dict[str, str]) -> None:
    odd = answer()
    odd.headers.update(headers)
    assert may_keep(odd) is True


# -- bodies that are not whole ---------------------------------------------------------------------

TEXT = b'{"items": [' + b",".join(b"%d" % (n * n % 9973) for n in range(9000)) + b"]}"


def deflated(window: int) -> bytes:
    coder = zlib.compressobj(wbits=window)
    return coder.compress(TEXT) + coder.flush()


CODINGS: dict[str, tuple[str, bytes]] = {
    "gzip": ("gzip", gzip.compress(TEXT)),
    "GZip": ("GZip", gzip.compress(TEXT)),
    "gzip of two members": ("gzip", gzip.compress(TEXT[:9000]) + gzip.compress(TEXT[9000:])),
    "zlib": ("deflate", deflated(15)),
    "raw deflate": ("deflate", deflated(-15)),
    "gzip twice": ("gzip, gzip", gzip.compress(gzip.compress(TEXT))),
    "deflate and gzip": ("deflate, gzip", gzip.compress(deflated(15))),
}

if "x-gzip" in HTTPResponse.CONTENT_DECODERS:  # urllib3 2.0 does not know it
    CODINGS["x-gzip"] = ("x-gzip", gzip.compress(TEXT))


@pytest.mark.parametrize(("coding", "body"), CODINGS.values(), ids=CODINGS)
def test_a_coded_body_is_whole_exactly_if_the_decoder_has_come_to_its_end(
    coding: str, body: bytes
) -> None:
    whole = answer(headers={"Content-Encoding": coding}, body=body)
    assert whole.content == TEXT
    assert is_whole(whole) is True
    for cut in (1, 4, 8, 9, len(body) // 3, len(body) // 2, len(body) - 40):
        half = answer(headers={"Content-Encoding": coding}, body=body[:-cut])
        assert is_whole(half) is False, f"{cut} bytes were missing"
        assert may_keep(half) is False


def test_half_of_a_coding_within_a_coding_is_not_whole() -> None:
    for inner in (gzip.compress(TEXT)[:-300], deflated(15)[:-300]):
        kind = "gzip" if inner.startswith(b"\x1f\x8b") else "deflate"
        coded = gzip.compress(inner)
        half = answer(headers={"Content-Encoding": f"{kind}, gzip"}, body=coded)
        assert is_whole(half) is False


def test_a_coded_body_that_was_read_in_pieces_is_judged_alike() -> None:
    for cut, whole in ((0, True), (100, False)):
        body = gzip.compress(TEXT)
        response = answer(headers={"Content-Encoding": "gzip"}, body=body[: len(body) - cut])
        again = HTTPResponse(
            body=io.BytesIO(body[: len(body) - cut]),
            headers={"Content-Encoding": "gzip"},
            preload_content=False,
        )
        response.raw, response._content, response._content_consumed = again, False, False
        response._content = b"".join(response.iter_content(100))
        assert is_whole(response) is whole


def test_what_is_coded_in_a_way_that_nobody_knows_is_as_whole_as_what_is_not() -> None:
    assert is_whole(answer(headers={"Content-Encoding": "foo"}, body=b"?")) is True


def test_what_is_coded_and_has_no_decoder_that_can_tell_is_not_whole() -> None:
    for coding in ("deflate", "gzip", "gzip, foo"):
        odd = answer()
        odd.headers["Content-Encoding"] = coding
        assert is_whole(odd) is False
        odd.raw = None
        assert is_whole(odd) is False
        odd.raw = SimpleNamespace(_decoder=SimpleNamespace(_obj=object()))
        assert is_whole(odd) is False


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    "engine",
    [
        lambda done: SimpleNamespace(is_finished=lambda: done),  # brotli's
        lambda done: SimpleNamespace(eof=done),  # zstandard's
    ],
    ids=["asked", "flagged"],
)
def test_decoders_of_other_libraries_are_believed(engine: Any, finished: bool) -> None:
    response = answer()
    response.headers["Content-Encoding"] = "gzip"
    decoder = SimpleNamespace(_obj=engine(finished))
    response.raw = SimpleNamespace(_decoder=decoder)
    assert is_whole(response) is finished
    response.raw = SimpleNamespace(_decoder=SimpleNamespace(_decoders=[decoder, decoder]))
    assert is_whole(response) is finished


def test_a_body_that_could_not_be_read_is_not_whole() -> None:
    broken = answer(302)
    broken._content = False
    assert is_whole(broken) is False
    assert may_keep(answer(history=[broken])) is False


def test_an_empty_body_that_says_it_is_coded_is_not_whole_and_a_bare_one_is() -> None:
    assert is_whole(answer(headers={"Content-Encoding": "gzip"}, body=b"")) is False
    assert is_whole(answer(body=b"")) is True


# -- by the RFC ------------------------------------------------------------------------------------

DAY = 86_400.0


def fresh_for(status: int = 200, own: float | None = None, **headers: str) -> float:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = b"" if status == 204 else b"{}"
    return lived_by_rfc(answer(status, named, body=body), own=own, spare=0.0, now=NOW).fresh


def kept_for(status: int = 200, spare: float = 0.0, **headers: str) -> float:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = b"" if status == 204 else b"{}"
    return lived_by_rfc(answer(status, named, body=body), own=None, spare=spare, now=NOW).kept


def test_a_tenth_of_the_time_since_the_last_change_is_guessed_and_a_day_at_the_most() -> None:
    assert fresh_for(Last_Modified=date(-1000), Date=date(0)) == 100.0
    assert fresh_for(Last_Modified=date(-1000)) == 100.0
    assert fresh_for(Last_Modified=date(-5000), Date=date(-1000)) == 400.0 - 1000.0
    assert fresh_for(Last_Modified=date(-1e9), Date=date(0)) == DAY
    assert fresh_for(Last_Modified=date(60), Date=date(0)) == 0.0
    assert fresh_for(Last_Modified="long ago") == 0.0
    assert fresh_for(Last_Modified=date(-1000), Pragma="no-cache") == 0.0
    assert fresh_for(Last_Modified=date(-1000), Cache_Control="no-cache") == 0.0
    assert fresh_for(Last_Modified=date(-1000), Cache_Control="max-age=5") == 5.0
    assert fresh_for(Last_Modified=date(-1000), Expires="0") == 0.0


BY_DEFAULT = {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}


@pytest.mark.parametrize("status", sorted({*BY_DEFAULT, 201, 202, 302, 303, 307, 400, 403, 503}))
def test_a_life_is_guessed_for_statuses_that_may_be_kept_by_default(status: int) -> None:
    guessed = fresh_for(status, Last_Modified=date(-1000))
    assert guessed == (100.0 if status in BY_DEFAULT else float("-inf"))
    assert fresh_for(status, Last_Modified=date(-1000), Cache_Control="public") == 100.0
    assert fresh_for(status, Cache_Control="max-age=60") == 60.0, "said is said"
    assert fresh_for(status, Expires=date(60)) == 60.0
    silent = kept_for(status, spare=60.0)
    assert silent == (60.0 if status in BY_DEFAULT else float("-inf"))


def test_an_answer_that_was_too_old_when_it_came_has_been_stale_since() -> None:
    assert fresh_for(Cache_Control="max-age=60", Age="100") == -40.0
    assert kept_for(Cache_Control="max-age=60, stale-if-error=90", Age="100") == 50.0
    assert kept_for(Cache_Control="max-age=60", Age="100") == -40.0
    assert kept_for(Cache_Control="max-age=60", Age="100", ETag='"x"') == DAY


@pytest.mark.parametrize("validator", [{"ETag": '"x"'}, {"Last_Modified": "x"}])
def test_an_answer_that_can_be_validated_stays_a_day_longer(validator: dict[str, str]) -> None:
    assert kept_for(Cache_Control="max-age=60", **validator) == DAY + 60.0
    assert kept_for(Cache_Control="no-cache", **validator) == DAY
    assert kept_for(Cache_Control="max-age=60, must-revalidate", **validator) == DAY + 60.0
    assert kept_for(**validator) == DAY
    assert kept_for(403, **validator) == float("-inf"), "but not one that may not be kept"


def test_an_answer_that_cannot_stays_as_long_as_somebody_may_use_it_stale() -> None:
    assert kept_for(Cache_Control="max-age=60") == 3660.0
    assert kept_for(Cache_Control="max-age=60, must-revalidate") == 60.0
    assert kept_for(Cache_Control="max-age=60, stale-while-revalidate=9000") == 9060.0
    assert kept_for(Cache_Control="max-age=60, stale-if-error=9000") == 9060.0
    assert kept_for(Cache_Control="max-age=0, stale-while-revalidate=30") == 30.0
    assert kept_for(spare=7200.0, Cache_Control="max-age=60") == 7260.0
    assert kept_for(spare=7200.0, Cache_Control="max-age=60, must-revalidate") == 60.0
    assert kept_for(spare=7200.0, Cache_Control="no-cache") == 0.0
    assert kept_for(Cache_Control="max-age=0") == 0.0


def test_a_no_cache_for_some_fields_only_leaves_the_others_fresh() -> None:
    assert fresh_for(Cache_Control='no-cache="X-A", max-age=60') == 60.0
    assert fresh_for(Cache_Control="no-cache, max-age=60") == 0.0
    assert fresh_for(Cache_Control='no-cache = "X-A", max-age=60') == 0.0, "unreadable: of all"


def test_the_callers_word_goes_before_the_servers() -> None:
    assert fresh_for(own=5.0, Cache_Control="max-age=60") == 5.0
    assert fresh_for(own=5.0) == 5.0
    assert fresh_for(302, own=5.0) == float("-inf"), "it leads nowhere"
    assert fresh_for(302, own=5.0, Location="/x") == 5.0
    assert fresh_for(404, own=5.0) == 0.0
    assert fresh_for(404, own=500.0, Cache_Control="max-age=900") == 60.0
    assert fresh_for(503, own=5.0) == float("-inf")


def test_a_chain_lives_as_long_as_its_least_lasting_hop_and_is_not_validated() -> None:
    hop = answer(301, {"Cache-Control": "max-age=9"})
    last = {"Cache-Control": "max-age=90, stale-if-error=999", "ETag": '"x"'}
    life = lived_by_rfc(answer(200, last, history=[hop]), own=None, spare=0.0, now=NOW)
    assert (life.fresh, life.kept) == (9.0, 3609.0)
    life = lived_by_rfc(answer(200, last, history=[answer(302)]), own=None, spare=0.0, now=NOW)
    assert life.kept == float("-inf")


def test_the_time_that_an_answer_took_counts_as_age() -> None:
    slow = answer(200, {"Cache-Control": "max-age=60", "Age": "10", "Date": date(0)})
    slow.elapsed = timedelta(seconds=5.9)
    life = lived_by_rfc(slow, own=None, spare=0.0, now=NOW)
    assert (life.age, life.fresh) == (15.0, 45.0)


# -- what is kept of it ----------------------------------------------------------------------------


def test_an_answer_is_kept_without_the_fields_of_its_connection() -> None:
    headers = {
        "Connection": "X-Hop, close", "X-Hop": "1", "X-End": "2", "Keep-Alive": "timeout=5",
        "Transfer-Encoding": "chunked", "Upgrade": "h2c", "Proxy-Authenticate": "Basic",
        "Cache-Control": 'no-cache="X-Private", max-age=5', "X-Private": "3", "Content-Type": "a/b",
    }  # fmt: skip
    kept = {name.lower() for name in headers} - unkept(headers)
    assert kept == {"x-end", "cache-control", "content-type"}
    assert unkept({"Content-Type": "a/b", "Cache-Control": "no-cache"}) == set()


def test_whoever_understands_the_status_may_keep_what_only_those_may() -> None:
    control = {"Cache-Control": "no-store, must-understand, max-age=60"}
    assert is_keepable(answer(200, control), by_rfc=True) is True
    assert is_keepable(answer(599, control), by_rfc=True) is False
    assert is_keepable(answer(200, control), by_rfc=False) is False
    assert is_keepable(answer(200, {"Cache-Control": "no-store"}), by_rfc=True) is False


# -- dates -----------------------------------------------------------------------------------------

AUGUST_18 = 2_544_400_878.0  # Thu, 18 Aug 2050 02:01:18 GMT


@pytest.mark.parametrize(
    "spelling",
    [
        "Thu, 18 Aug 2050 02:01:18 GMT",
        "Thursday, 18-Aug-50 02:01:18 GMT",
        "Thu Aug 18 02:01:18 2050",
        "THU, 18 Aug 2050 02:01:18 GMT",
        "Thu, 18 AUG 2050 02:01:18 gMT",
        "thursday, 18-aug-50 02:01:18 gmt",
        " Thu, 18 Aug 2050 02:01:18 GMT ",
        "Thu, 18 Aug 2050 02:01:18 GMT, Fri, 19 Aug 2050 02:01:18 GMT",  # the first of two
    ],
)
def test_a_date_is_read_in_each_of_three_forms_and_in_any_case(spelling: str) -> None:
    assert instant(spelling, now=NOW) == AUGUST_18


@pytest.mark.parametrize(
    "spelling",
    [
        "Thu, 18 Aug 2050 02:01:18 UTC",
        "Thu, 18 Aug 2050 02:01:18 AEST",
        "Thu, 18 Aug 2050 02:01:18 +0000",
        "Wed, 17 Aug 2050 22:01:18 -0400",
        "Thu, 18 Aug 2050 02:01:18",
        "Thu, 18 Aug 50 02:01:18 GMT",
        "Thursday, 18-Aug-2050 02:01:18 GMT",
        "Thu 18 Aug 2050 02:01:18 GMT",
        "18 Aug 2050 02:01:18 GMT",
        "Thu, 18  Aug  2050 02:01:18 GMT",
        "Thu, 18-Aug-2050 02:01:18 GMT",
        "Thu, 18 Aug 2050 02.01.18 GMT",
        "Thu, 18 Aug 2050 2:01:18 GMT",
        "Thu, 18 Aug 2050 24:01:18 GMT",
        "Thu, 18 Aug 2050 02:60:18 GMT",
        "Thu, 18 Aug 2050 02:01:61 GMT",
        "Thu, 18 Aout 2050 02:01:18 GMT",
        "Thu, 31 Jun 2050 02:01:18 GMT",
        "Thu, 00 Aug 2050 02:01:18 GMT",
        "Thu, 18 Aug 0000 02:01:18 GMT",
        "Thu, 1\u0668 Aug 2050 02:01:18 GMT",
        "Thu, 18 Aug 2050 02:01:18 GMT Thu, 18 Aug 2050 02:01:18 GMT",
        "2050-08-18T02:01:18Z",
        "2544400878",
        "",
        None,
    ],
)
def test_what_only_looks_like_a_date_is_none(spelling: str | None) -> None:
    assert instant(spelling, now=NOW) is None


DAYS = st.datetimes(timezones=st.just(timezone.utc))


@given(DAYS, st.sampled_from([str, str.lower, str.upper]))
def test_every_date_is_read_as_what_it_says(day: datetime, spelt: Callable[[str], str]) -> None:
    day = day.replace(microsecond=0)
    assert instant(spelt(format_datetime(day, usegmt=True))) == day.timestamp()


@given(st.text(st.sampled_from("0123456789 :,-AGMTadeghijlmnopqrstuvy")) | st.text())
def test_whatever_is_said_is_a_date_or_none(said: str) -> None:
    assert isinstance(instant(said, now=NOW), (float, type(None)))


def test_a_day_and_a_second_may_be_odd_ones() -> None:
    assert instant("Thu Aug  8 02:01:18 2050", now=NOW) == AUGUST_18 - 10 * 86_400
    assert instant("Thu, 18 Aug 2050 02:01:60 GMT", now=NOW) == AUGUST_18 + 42
    assert instant("Tue, 29 Feb 2000 00:00:00 GMT") == 951_782_400.0
    assert instant("Mon, 29 Feb 1900 00:00:00 GMT") is None


def test_a_year_of_two_digits_is_never_far_ahead() -> None:
    for year, meant in ((23, 2023), (73, 2073), (74, 1974), (94, 1994), (0, 2000)):
        spelt = f"Monday, 06-Nov-{year:02} 08:49:37 GMT"
        expected = datetime(meant, 11, 6, 8, 49, 37, tzinfo=timezone.utc).timestamp()
        assert instant(spelt, now=NOW) == expected, spelt
    assert instant("Sunday, 06-Nov-94 08:49:37 GMT") == 784_111_777.0
    assert instant("Sunday, 06-Nov-94 08:49:37 GMT", now=1e30) is None, "a clock beyond all years"


@pytest.mark.parametrize("value", ["12", "0", "007", "", "-1", "1.0", "a", "1 2", None, "٣"])
def test_seconds_are_digits_and_nothing_else(value: str | None) -> None:
    is_number = value in ("12", "0", "007")
    assert seconds(value) == (int(value or 0) if is_number else None)
