"""Settings merged with the environment: remembered, and always what requests would say."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from browseros_api import Session

URLS = ["http://a.example/x", "https://a.example/x", "http://b.example:81/", "http://127.0.0.1/y"]
VARIABLES = {
    "HTTP_PROXY": ["http://p:1", "http://q:2"],
    "https_proxy": ["http://s:3"],
    "ALL_PROXY": ["http://all:4"],
    "NO_PROXY": ["b.example", "127.0.0.0/8", "*"],
    "REQUESTS_CA_BUNDLE": ["/ca.pem"],
    "CURL_CA_BUNDLE": ["/curl.pem"],
    "REQUEST_METHOD": ["GET"],
}
environments = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values) for name, values in VARIABLES.items()}
)
asked = st.tuples(
    st.sampled_from(URLS),
    st.sampled_from([{}, {"http": "http://mine:9"}, {"no_proxy": "a.example"}, None]),
    st.sampled_from([None, True, False]),
    st.sampled_from([None, True, False, "/own.pem"]),
    st.sampled_from([None, "/cert.pem", ("/cert.pem", "/key.pem")]),
)
owned = st.fixed_dictionaries(
    {
        "trust_env": st.booleans(),
        "verify": st.sampled_from([True, False, "/session.pem"]),
        "proxies": st.sampled_from([{}, {"https": "http://session:8"}]),
        "stream": st.booleans(),
    }
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(environments, owned, asked), min_size=1, max_size=6))
def test_it_is_what_requests_says_whatever_has_changed(
    steps: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Session() as ours, requests.Session() as stock:
        for environment, own, (url, proxies, *rest) in steps:
            with monkeypatch.context() as patch:
                for name, value in environment.items():
                    patch.setenv(name, value)
                for session in (ours, stock):
                    vars(session).update(own)
                for _ in range(2):
                    said = [
                        session.merge_environment_settings(url, proxies and dict(proxies), *rest)
                        for session in (ours, stock)
                    ]
                    assert said[0] == said[1]


def test_what_is_handed_out_may_be_changed() -> None:
    with Session() as session:
        session.proxies = {"http": "http://p:1"}
        first = session.merge_environment_settings("http://a/", {}, None, None, None)
        first["proxies"]["http"] = "http://evil:1"
        again = session.merge_environment_settings("http://a/", {}, None, None, None)
        assert again["proxies"] == {"http": "http://p:1"}


def test_what_cannot_be_named_is_merged_each_time() -> None:
    class Odd:
        pass

    odd = Odd()
    with Session() as session:
        merged = session.merge_environment_settings("http://a/", {}, None, odd, None)
        assert merged["verify"] is odd


def test_only_so_many_origins_are_remembered() -> None:
    with Session() as session:
        for number in range(3000):
            session.merge_environment_settings(f"http://h{number}/", {}, None, None, None)
        assert len(session.engine.identity.askers.of(session)._settings) <= 256
