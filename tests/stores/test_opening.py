"""Which URL opens which store, and what is said of one that opens none."""

from __future__ import annotations

import builtins
import pickle
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from browseros_api import Session, Settings
from browseros_api.stores.archive import Archive
from browseros_api.stores.front import Front
from browseros_api.stores.memory import MemoryStore
from browseros_api.stores.opening import open_store
from browseros_api.testing import FakeClock
from tests.stores.answers import answer, entry, key

A = key("a")


def opened(url: str, **settings: Any) -> Any:
    return open_store(Settings(store=url, **settings), clock=time.monotonic)


def test_each_url_opens_its_store() -> None:
    assert isinstance(open_store(Settings(), clock=time.monotonic), MemoryStore)
    assert isinstance(opened("memory://"), MemoryStore)
    assert isinstance(opened("sqlite:///a.db"), Archive)
    for url in ("redis://h", "rediss://h:1/2", "valkey://h", "valkeys://u:p@h", "redis+unix:///s"):
        assert isinstance(opened(url), Front), url
    assert isinstance(opened("redis://h?front=0"), Archive)


def test_paths_are_relative_with_three_slashes_and_absolute_with_four(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    places = {
        "sqlite:///a.db": tmp_path / "a.db",
        "sqlite:///b/a b.db": tmp_path / "b" / "a b.db",
        f"sqlite:///{tmp_path}/c.db": tmp_path / "c.db",
        "sqlite:///~/d.db": tmp_path / "home" / "d.db",
    }
    for url, path in places.items():
        store = opened(url, store_timeout=10.0)
        assert store.put(A, entry(now=time.monotonic())) is True
        assert path.is_file()
        store.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "sqlite:///path.db"),
        ("sqlite:///", "sqlite:///relative"),
        ("sqlite://a.db", "sqlite:///relative"),
        ("sqlite:///folder/", "sqlite:///relative"),
        ("sqlite:///a.db?mode=ro", "sqlite:///relative"),
        ("sqlite:///:memory:", "memory://"),
        ("redis://h?decode_responses=True", "no option 'decode_responses'; there are db, front"),
        ("redis://h?socket_timeout=60", "no option 'socket_timeout'"),
        ("redis://h?front=soon", "front"),
        ("redis://h?front=-1", "front"),
        ("redis://h?front=nan", "front"),
        ("redis://h?namespace=", "namespace"),
        ("redis://h:port/0", "must be like"),
        ("redis://:s3cret-word@h:port/0", "must be like"),
        ("redis://:s3cret-word@[h/0", "must be like"),
    ],
)
def test_a_url_that_is_wrong_is_an_error_when_the_session_is_made(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Session(store=url)
    assert str(caught.value).startswith("store")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("missing", "settings", "extra"),
    [
        ("redis", {"store": "redis://h"}, "redis"),
        ("cryptography", {"store": "sqlite:///a.db", "store_key": "k"}, "encryption"),
    ],
)
def test_a_library_that_is_missing_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, missing: str, settings: dict[str, Any], extra: str
) -> None:
    real = builtins.__import__

    def gone(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == missing and not (rest and rest[-1]):
            raise ImportError(name)
        return real(name, *rest)

    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", gone)
    with pytest.raises(ImportError, match=rf"pip install 'browseros-api\[{extra}\]"):
        Session(**settings)


def test_neither_the_url_nor_the_key_is_shown() -> None:
    secret = Fernet.generate_key().decode()
    settings = Settings(store="redis://:s3cret-word@h/0", store_key=secret)
    assert "s3cret" not in repr(settings)
    assert secret not in repr(settings)


def test_settings_travel_with_a_session_and_the_store_does_not(tmp_path: Path) -> None:
    secret = Fernet.generate_key()
    session = Session(store=f"sqlite:///{tmp_path}/a.db", store_key=[secret], store_timeout=10.0)
    session.engine.cache.answers.put(A, entry(answer(b"one"), now=time.monotonic()))
    copy = pickle.loads(pickle.dumps(session))
    assert (copy.settings.store, copy.settings.store_key) == (session.settings.store, (secret,))
    assert copy.engine.cache.answers is not session.engine.cache.answers
    (found,) = copy.engine.cache.answers.get(A)
    assert found.snapshot.replica().content == b"one"
    for one in (copy, session):
        one.close()


# -- keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad", ["short", b"x" * 44, "ä" * 44, [Fernet.generate_key(), "s3cret-key"]]
)
def test_a_key_that_is_none_is_an_error_that_does_not_show_it(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^store_key must be .*generate_key") as caught:
        Session(store="sqlite:///a.db", store_key=bad)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_was_kept_with_another_key_is_a_miss(tmp_path: Path, clock: FakeClock) -> None:
    old, new = Fernet.generate_key(), Fernet.generate_key().decode()

    def store(*keys: str | bytes) -> Any:
        url = f"sqlite:///{tmp_path}/a.db"
        return open_store(
            Settings(store=url, store_timeout=10.0, store_key=keys or None), clock=clock
        )

    first = store(old)
    first.put(A, entry(answer(b"hidden"), now=clock()))
    assert len(first.get(A)) == 1
    for other in (store(new), store()):
        assert other.get(A) == ()
        assert other.figures()["store_unreadable"] == 1
        assert first.get(A) == ()  # it was dropped
        first.put(A, entry(answer(b"hidden"), now=clock()))

    both = store(new, old)
    (found,) = both.get(A)
    assert found.snapshot.replica().content == b"hidden"
    assert both.forget(found.resource) == 1  # also what was kept under the old one
    assert first.get(A) == ()
    both.put(A, entry(answer(b"again"), now=clock()))
    assert store(new).get(A) != ()


def test_an_encrypted_record_says_nothing(tmp_path: Path, clock: FakeClock) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    settings = Settings(store=url, store_timeout=10.0, store_key=Fernet.generate_key())
    store = open_store(settings, clock=clock)
    store.put(A, entry(answer(b"the body"), now=clock()))
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert A.encode() in content
    for text in (b"the body", b"api.example.com", b"things", b"Content-Type", b"json"):
        assert text not in content
    store.close()
