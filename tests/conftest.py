"""What every test stands on: our own fixtures, and an environment that says nothing."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator

import hypothesis
import pytest

from browseros_api.testing import plugin

# What requests, urllib3 and OpenSSL would otherwise learn from the machine.
_SPEAKING = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY", "NO_PROXY"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"),
)

# A machine that is busy is not a test that fails; what CI finds, it finds each time.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.load_profile("ci" if "CI" in os.environ else "local")


def pytest_configure(config: pytest.Config) -> None:
    """Bring in ``api_server`` and ``fake_clock``; setup.cfg keeps their entry point out."""
    # What a shell runs in the background ignores Ctrl-C, and so would what the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(plugin, "tests: browseros_api.testing.plugin")


@pytest.fixture(scope="session", autouse=True)
def _silent_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No proxy, no certificate bundle and no netrc of this machine takes part in a test."""
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.touch(mode=0o600)
    with pytest.MonkeyPatch.context() as patch:
        for name in _SPEAKING:
            patch.delenv(name, raising=False)
            patch.delenv(name.lower(), raising=False)
        patch.setenv("NETRC", str(netrc))
        yield


@pytest.fixture(autouse=True)
def _unchanged_log() -> Iterator[None]:
    """What ``debug=True`` and examples do to loggers is undone: other tests count records."""
    loggers = [logging.getLogger(name) for name in ("browseros_api", "browseros_api.events")]
    before = [(logger, logger.level, [*logger.handlers]) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
