"""Laws of stores beyond the process, which cannot ask and keep in one go, nor keep everything."""

from __future__ import annotations

import pytest

from browseros_api.stores.entry import Store
from browseros_api.testing import FakeClock
from tests.stores.answers import URL, answer, entry, key
from tests.stores.conftest import KINDS, Opener

A, B = key("a"), key("b")

pytestmark = pytest.mark.parametrize(
    "place", [kind for kind in KINDS if kind != "memory"], indirect=True
)


def test_an_answer_that_cannot_leave_the_process_is_not_kept_and_ends_the_one_before(
    store: Store,
) -> None:
    store.put(A, entry())
    strange = answer()
    strange.cookies.set("sid", "1")
    assert store.put(A, entry(strange)) is False
    assert store.get(A) == ()
    assert store.figures()["store_withheld"] == 1


def test_an_answer_that_ceases_to_be_current_while_it_is_kept_is_not_there(store: Store) -> None:
    said = iter([True, False])
    assert store.put(A, entry(), is_current=lambda: next(said)) is False
    assert store.get(A) == ()


def test_what_changed_since_it_was_asked_for_is_not_kept(opened: Opener, clock: FakeClock) -> None:
    first, second = opened(), opened()
    asked = clock() - 5.0
    second.forget(URL)
    assert first.put(A, entry(answer(b"old")), since=asked) is False
    assert first.put(B, entry(answer(b"other"), resource=URL + "/7"), since=asked) is True
    clock.tick(5.0)
    assert first.put(A, entry(answer(b"new")), since=clock()) is True


def test_urls_are_kept_with_secrets_masked_and_forgotten_all_the_same(store: Store) -> None:
    secret = f"{URL};jsessionid=s3cret-word"
    store.put(A, entry(resource=secret))
    (got,) = store.get(A)
    assert got.resource == f"{URL};jsessionid=***"
    assert store.forget(secret) == 1
    assert store.get(A) == ()


def test_who_only_looks_is_not_counted(store: Store) -> None:
    store.put(A, entry())
    store.peek(A)
    store.peek(B)
    figures = store.figures()
    assert (figures["store_hits"], figures["store_misses"]) == (0, 0)
