"""Laws of the journal: one line per decision for people to read, and never a secret in it."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from browseros_api import EnhancedAPIClient, Session
from browseros_api.journal import (
    LOGGER,
    Journal,
    is_secret,
    masked_headers,
    masked_url,
    told_seconds,
)
from browseros_api.testing import ApiServer, FakeClock, Reply

ROOT = Path(__file__).parents[1]
SECRET = "Xy7secretvalue"


# -- which names are secret ------------------------------------------------------------------------

SECRETS = [
    *("Authorization", "Proxy-Authorization", "X-Amz-Security-Token", "X-Amz-Signature"),
    *("Cookie", "Set-Cookie", "X-API-Key", "x_api_key", "apikey", "apiKey", "api.key", "X-ApiKey"),
    *("access_token", "accessToken", "refresh_token", "id_token", "X-CSRF-Token", "token", "TOKEN"),
    *("client_secret", "secret", "password", "passwd", "passphrase", "pwd", "pass", "user_pass"),
    *("key", "sig", "signature", "Signature", "X-Goog-Signature", "AWSAccessKeyId", "accesskey"),
    *("code", "auth", "X-Auth", "X-Auth-User", "auth_code", "oauth_verifier", "session", "sid"),
    *("sessionid", "session_id", "JSESSIONID", "PHPSESSID", "X-Session-Key", "jwt", "bearer"),
    *("credentials", "X-Amz-Credential", "assertion", "SAMLResponse", "ticket", "otp", "pin"),
    *("appid", "app_id", "app_key", "subscription-key", "Ocp-Apim-Subscription-Key", "private_key"),
    *("hmac", "X-Hub-Signature-256", "x-functions-key"),
]
PLAIN = [
    *("Accept", "Accept-Language", "Content-Type", "Content-Length", "User-Agent", "ETag", "Host"),
    *("q", "page", "limit", "sort", "keyword", "monkey", "author", "authored_by", "pagination"),
    *(
        "Idempotency-Key",
        "idempotency-key",
        "X-Request-Id",
        "design",
        "signal",
        "encode",
        "passenger",
    ),
    *("spin", "sidebar", "decode", "keys_only", "compass"),
]


@pytest.mark.parametrize("name", SECRETS)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret(name)
    assert masked_url(f"http://h/x?a=1&{name}={SECRET}&b=2") == f"http://h/x?a=1&{name}=***&b=2"
    assert masked_headers([(name, SECRET), ("Accept", "*/*")]) == {name: "***", "Accept": "*/*"}


@pytest.mark.parametrize("name", PLAIN)
def test_names_of_plain_things_are_left_alone(name: str) -> None:
    assert not is_secret(name)
    assert masked_url(f"http://h/x?{name}=1") == f"http://h/x?{name}=1"
    assert masked_headers([(name, "1")]) == {name: "1"}


# -- URLs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("http://h/x", "http://h/x"),
        ("http://h:8080/x/y?a=1&b=2", "http://h:8080/x/y?a=1&b=2"),
        ("http://h/x?", "http://h/x?"),
        ("http://h/x?a&token&b", "http://h/x?a&token&b"),
        ("http://h/x?token=", "http://h/x?token=***"),
        ("http://h/x#token=1", "http://h/x"),
        ("http://alice:pw@h:80/x", "http://***@h:80/x"),
        ("http://alice@h/x", "http://***@h/x"),
        ("http://alice:p@w@h/x", "http://***@h/x"),
        ("http://h/x@y", "http://h/x@y"),
        ("http://h/x?mail=a@b", "http://h/x?mail=a@b"),
        ("http://[::1]/x?token=1", "http://[::1]/x?token=***"),
        ("http://alice:pw@[::1/x?token=1", "http://***@[::1/x?token=***"),
        ("b'http://alice:pw@h/x?token=1'", "b'http://***@h/x?token=***"),
        ("http://h/x?token=a=b==&c=1", "http://h/x?token=***&c=1"),
        ("http://h/x?a=1;token=2", "http://h/x?a=1;token=***"),
        ("http://h/x?%74oken=2", "http://h/x?%74oken=***"),
        ("http://h/x?access%5Ftoken=2", "http://h/x?access%5Ftoken=***"),
        ("http://h/x?to+ken=2&my+key=1", "http://h/x?to+ken=2&my+key=1"),
        ("http://h/x?next=http%3A%2F%2Fh%2F%3Ftoken%3D1", "http://h/x?next=***"),
        ("http://h/x?next=%2Fy%3Fto%3D%252Fz%253Fcode%253D1", "http://h/x?next=***"),
        ("http://h/x?next=http://a:b@h/", "http://h/x?next=***"),
        ("http://h/x?next=%2Fy%3Fpage%3D1", "http://h/x?next=%2Fy%3Fpage%3D1"),
        ("http://h/x?a=1?token=2", "http://h/x?a=***"),
        ("http://h/x;jsessionid=12/y;v=1?a=1", "http://h/x;jsessionid=***/y;v=1?a=1"),
        ("/x?key=1", "/x?key=***"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, masked: str) -> None:
    assert masked_url(url) == masked


@given(
    st.text(max_size=40),
    st.lists(st.sampled_from("?&=;#/@:% +token[]"), max_size=40).map("".join),
)
@example("", "?a=" * 5000)
@example("http://", "%" * 3000)
def test_no_url_however_strange_raises(start: str, rest: str) -> None:
    for url in (start + rest, rest + start, f"http://{rest}"):
        assert isinstance(masked_url(url), str)


@given(
    st.lists(st.sampled_from(["?", "&", "=", ";", "#", "/", "@", "a", "%3D", "%26"]), max_size=9)
)
def test_a_secret_in_the_query_or_before_the_host_is_never_shown(noise: list[str]) -> None:
    junk = "".join(noise).replace("#", "")
    assert SECRET not in masked_url(f"http://alice:{SECRET}@h/x?{junk}&token={SECRET}")


# -- when it speaks --------------------------------------------------------------------------------


class Lines(logging.Handler):
    """Every line, as people would read it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def __str__(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def heard() -> Iterator[Lines]:
    """What the logger ``browseros_api`` says, whatever its level."""
    handler, level = Lines(), LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.DEBUG)
    yield handler
    LOGGER.removeHandler(handler)
    LOGGER.setLevel(level)


class Shown:
    """Counts how often it is looked at."""

    times = 0

    def __str__(self) -> str:
        self.times += 1
        return "shown"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.05, "0.05 s"), (12.345, "12.3 s"), (999.4, "999 s"), (999.9, "1000 s"), (3600, "3600 s")],
)
def test_seconds_are_told_as_people_read_them(seconds: float, told: str) -> None:
    assert told_seconds(seconds) == told


def test_a_journal_that_is_off_says_nothing_and_formats_nothing(heard: Lines) -> None:
    value = Shown()
    Journal(enabled=False).say("%s", value)
    assert (heard.lines, value.times) == ([], 0)
    Journal(enabled=True).say("%s", value)
    assert heard.lines == ["shown"]
    assert value.times > 0


def test_what_nobody_reads_is_not_formatted() -> None:
    value, level = Shown(), LOGGER.level
    journal = Journal(enabled=True)
    LOGGER.setLevel(logging.INFO)
    try:
        journal.say("%s", value)
    finally:
        LOGGER.setLevel(level)
    assert value.times == 0


def run(session: Any, server: ApiServer) -> None:
    """A bit of everything: success, retries, a hit, a follower, failures, an open circuit."""
    key = {"params": {"api_key": SECRET}}
    gate = threading.Event()
    server.script("/flaky", Reply(503), Reply(reset="before"), Reply(json={}))
    server.route("/down", Reply(500))
    server.route("/held", Reply(json={}, hold=gate))
    for _ in range(2):
        session.get(server.url("/flaky"), **key)
    session.post(server.url("/made"), params={"token": SECRET}, headers={"X-API-Key": SECRET})
    session.get(server.url("/x"), auth=("alice", SECRET), cookies={"who": SECRET})
    session.get(server.url("/x").replace("http://", f"http://alice:{SECRET}@"))
    for _ in range(3):
        try:
            session.get(server.url("/down"), **key).raise_for_status()
        except requests.RequestException:
            continue
    threads = [
        threading.Thread(target=session.get, args=(server.url("/held"),), kwargs=key)
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    while session.get_stats()["in_flight_requests"] < 2:
        threading.Event().wait(0.001)
    gate.set()
    for thread in threads:
        thread.join(5)


def quick(**more: Any) -> Session:
    clock = FakeClock()
    return Session(
        cache_mode="ttl", clock=clock, sleep=clock.sleep, max_retries=2, failure_threshold=4, **more
    )


def test_debug_shows_each_attempt_and_decision_and_no_secret(
    heard: Lines, api_server: ApiServer
) -> None:
    with quick(debug=True) as session:
        run(session, api_server)
    text = str(heard)
    assert SECRET not in text
    assert "alice" not in text
    for said in (
        "GET {}/flaky?api_key=*** attempt 1: 503; again in",
        "GET {}/flaky: kept, fresh for 300 s",
        "GET {}/flaky: answered from the cache",
        "GET {}/down?api_key=*** attempt 3: 500; no retries left",
        "breaker {}/down: closed -> open",
        "GET {}/held: joins",
    ):
        assert said.format(api_server.base_url) in text
    assert all("\n" not in line for line in heard.lines)


def test_without_debug_the_same_calls_say_nothing(heard: Lines, api_server: ApiServer) -> None:
    with quick() as session:
        run(session, api_server)
    assert heard.lines == []


def test_the_client_speaks_if_it_is_told_to(heard: Lines, api_server: ApiServer) -> None:
    for debug in (False, True):
        with EnhancedAPIClient(
            api_server.base_url, headers={"X-API-Key": SECRET}, debug=debug
        ) as client:
            client.get("/x", params={"token": SECRET})
        assert bool(heard.lines) is debug
    assert SECRET not in str(heard)


def test_a_quiet_session_beside_a_talkative_one_stays_quiet(
    heard: Lines, api_server: ApiServer
) -> None:
    with quick(debug=True) as talkative, quick() as quiet:
        talkative.get(api_server.url("/loud"))
        quiet.get(api_server.url("/quiet"))
    assert "/loud" in str(heard)
    assert "/quiet" not in str(heard)


# -- whether it can be seen ------------------------------------------------------------------------

SCRIPT = """
import logging, sys
from browseros_api import Session
{prelude}
with Session(debug={debug}, max_retries=0) as session:
    session.get({url!r})
"""


def stderr_of(server: ApiServer, *, debug: bool, prelude: str = "") -> str:
    script = SCRIPT.format(prelude=prelude, debug=debug, url=server.url("/x?token=" + SECRET))
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=30,
        check=True,
    )
    assert done.stdout == ""
    assert SECRET not in done.stderr
    return done.stderr


def test_in_a_plain_script_debug_is_seen_once_and_nothing_without_it(api_server: ApiServer) -> None:
    seen = stderr_of(api_server, debug=True, prelude="Session(debug=True)")
    lines = seen.splitlines()
    assert lines
    assert len(lines) == len(set(lines)), "twice the same"
    assert all(" browseros_api " in line and "token=***" in line for line in lines)
    assert stderr_of(api_server, debug=False) == ""


def test_where_logging_is_set_up_its_handlers_show_it_and_no_other(api_server: ApiServer) -> None:
    prelude = "logging.basicConfig(format='MINE %(message)s')"
    lines = stderr_of(api_server, debug=True, prelude=prelude).splitlines()
    assert lines
    assert all(line.startswith("MINE ") for line in lines)


def test_a_level_that_was_chosen_is_respected(api_server: ApiServer) -> None:
    prelude = "logging.getLogger('browseros_api').setLevel(logging.WARNING)"
    assert stderr_of(api_server, debug=True, prelude=prelude) == ""
