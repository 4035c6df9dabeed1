"""The targets of ``python -m tests.fuzz``, fed by hypothesis with what looks like the real."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.seeds import SEEDS
from tests.fuzz.targets import TARGETS

WORDS = st.sampled_from(
    [
        *(b"max-age", b"no-store", b"no-cache", b"private", b"s-maxage", b"stale-if-error", b"="),
        *(
            b",",
            b";",
            b'"',
            b"\\",
            b" ",
            b"\t",
            b"\n",
            b"\r\n",
            b":",
            b"-",
            b"*",
            b"W/",
            b"0",
            b"10",
        ),
        *(b"99999999999999999999", b"-1", b"1.5", b"nan", b"inf", b"\xff", b"\x00", b"\xc2\xb2"),
        *(b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"bytes=", b"0-5"),
        *(b"Sun Nov  6 08:49:37 1994", b"31 Feb 0000 99:99:99 +9999", b"HTTP/1.1 200 OK\r\n"),
        *(b"Content-Length", b"Transfer-Encoding", b"chunked", b"application/json", b"charset=x"),
        *(
            b"{",
            b"}",
            b"[" * 2000,
            b'"key"',
            b'"hops":[',
            b'"size":1',
            b"null",
            b"1e999",
            b"text/a",
        ),
    ]
)
INPUTS = st.lists(WORDS | st.binary(max_size=6), max_size=12).map(b"".join) | st.binary()


@pytest.mark.parametrize("name", TARGETS)
@given(data=INPUTS)
def test_whatever_comes_it_is_read_or_refused(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
@given(chosen=st.data(), other=INPUTS)
def test_so_it_is_with_what_is_almost_ordinary(
    name: str, chosen: st.DataObject, other: bytes
) -> None:
    seed = chosen.draw(st.sampled_from(SEEDS[name]))
    begin, end = sorted(chosen.draw(st.tuples(*[st.integers(0, len(seed))] * 2)))
    TARGETS[name](seed[:begin] + other + seed[end:])


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_ordinary_is_read(name: str) -> None:
    """Or the fuzzers, who begin with it, would never come beyond what refuses."""
    assert [seed for seed in SEEDS[name] if not TARGETS[name](seed)] == []
