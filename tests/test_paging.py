"""Pages are followed lazily, in their order, to their end, and never to another origin."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from requests.auth import AuthBase

from browseros_api import ClientClosed, EnhancedAPIClient, PaginationError
from browseros_api.aio import EnhancedAPIClient as Awaited
from browseros_api.pages import Place
from browseros_api.testing import ApiServer, Received, Reply, wait_until
from tests.awaiting import run


@pytest.fixture
def client(api_server: ApiServer) -> Iterator[EnhancedAPIClient]:
    with EnhancedAPIClient(api_server.base_url, max_retries=0) as client:
        yield client


def linked(server: ApiServer, number: int, *, path: str = "/users") -> None:
    """So many pages, each of which names the next one in a Link header and in its body."""

    def reply(request: Received) -> Reply:
        page = int(request.query.get("page", ["1"])[0])
        links, following = [f'<{path}?page=1>; rel="first"'], None
        if page < number:
            following = f"{path}?page={page + 1}"
            links.insert(0, f'<{following}>; rel="next"')
        body = {"page": page, "data": [10 * page, 10 * page + 1], "meta": {"next": following}}
        body["cursor"] = page + 1 if page < number else None
        return Reply(json=body, headers={"Link": ", ".join(links)})

    server.route(path, reply)


def numbers(pages: Iterator[Any]) -> list[int]:
    return [page["page"] for page in pages]


def asked(server: ApiServer) -> list[str]:
    return [request.target for request in server.requests]


# -- where the next page is ------------------------------------------------------------------------

RULES: list[Any] = [
    "link",
    "url:meta.next",
    "cursor:cursor->page",
    "cursor: cursor -> page",
    lambda page: page["meta"]["next"],
    lambda page: {"page": page["cursor"]} if page["cursor"] else None,
]


@pytest.mark.parametrize("prefetch", [0, 1, 3, 20])
@pytest.mark.parametrize("rule", RULES)
def test_each_way_leads_from_the_first_page_to_the_last(
    client: EnhancedAPIClient, api_server: ApiServer, rule: Any, prefetch: int
) -> None:
    linked(api_server, 5)
    assert numbers(client.paginate("/users", next=rule, prefetch=prefetch)) == [1, 2, 3, 4, 5]
    assert api_server.hits() == 5


@pytest.mark.parametrize(
    ("header", "follows"),
    [
        ('</b>; rel="next"', True),
        ("</b>; rel=next", True),
        ('</b>; rel="NEXT"', True),
        ('</b>; rel="last next"', True),
        ('</a>; rel="prev", </b>; rel="next"', True),
        ('</b>; rel="next"; title="b, and then <c>"', True),
        ("<{base}/b>; rel=next", True),
        ("<b>; rel=next", True),
        ("<?page=2>; rel=next", False),
        ('</b>; rel="nextish"', False),
        ('</b>; rel="prev"', False),
        ('</b>; rel="next"; anchor="/other"', False),
        ("</b>", False),
        ("rubbish", False),
        ("", False),
    ],
)
def test_a_link_header_is_read_as_rfc_8288_says(
    client: EnhancedAPIClient, api_server: ApiServer, header: str, follows: bool
) -> None:
    header = header.format(base=api_server.base_url)
    api_server.script("/a", Reply(json="a", headers={"Link": header}), Reply(json="again"))
    api_server.route("/b", Reply(json="b"))
    found = list(client.paginate("/a"))
    assert found == (["a", "b"] if follows else ["a", "again"] if "?" in header else ["a"])


def test_links_are_relative_to_where_the_page_came_from(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.route("/old", Reply(302, headers={"Location": "/v2/users"}))
    api_server.route("/v2/users", Reply(json=1, headers={"Link": "<more>; rel=next"}))
    api_server.route("/v2/more", Reply(json=2))
    assert list(client.paginate("/old")) == [1, 2]


def test_parameters_go_with_a_cursor_and_stay_behind_with_a_url(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    linked(api_server, 3)
    arguments: Any = {"params": {"size": 2, "page": 1}, "headers": {"X-A": "1"}}
    assert numbers(client.paginate("/users", next="cursor:cursor->page", **arguments)) == [1, 2, 3]
    assert asked(api_server) == [f"/users?size=2&page={page}" for page in (1, 2, 3)]
    assert {request.headers["X-A"] for request in api_server.requests} == {"1"}
    api_server.reset_counts()
    client.clear_cache()
    assert numbers(client.paginate("/users", **arguments)) == [1, 2, 3]
    assert asked(api_server) == ["/users?size=2&page=1", "/users?page=2", "/users?page=3"]


@pytest.mark.parametrize(
    "params", [{"a": "ä", "p": 1}, [("a", "ä"), ("p", 1)], "a=%C3%A4&p=1", b"a=%C3%A4&p=1"]
)
def test_a_cursor_takes_the_place_of_the_one_before(params: Any) -> None:
    assert dict(Place("/x", params).with_params({"p": 2}).params) == {"a": "ä", "p": 2}
    place = Place("/x?p=1&empty=#part", params).with_params({"p": 2})
    assert place == Place("/x", [("empty", ""), ("a", "ä"), ("p", 2)])


@pytest.mark.parametrize(
    ("rule", "page", "query"),
    [
        ("cursor:data.-1.id->after", {"data": [{"id": 1}, {"id": 7}]}, "after=7"),
        ("cursor:next->after", {"next": "a b&c"}, "after=a+b%26c"),
        ("url:@odata.nextLink", {"@odata.nextLink": "/x?skip=2"}, "skip=2"),
        ("url:a.b.c", {"a": {"b.c": "/x?deep=1"}}, "deep=1"),
    ],
)
def test_paths_lead_through_lists_and_names_with_dots(
    client: EnhancedAPIClient, api_server: ApiServer, rule: str, page: Any, query: str
) -> None:
    api_server.script("/x", Reply(json=page), Reply(json={"data": []}))
    assert len(list(client.paginate("/x", next=rule))) == 2
    assert asked(api_server)[1] == f"/x?{query}"


@pytest.mark.parametrize(
    "page",
    [{}, {"meta": None}, {"meta": {}}, {"meta": {"next": ""}}, {"meta": 5}, {"meta": [1]}, []]
    + [{"meta": {"next": end}} for end in (None, False, 0, [])],
)
def test_a_path_that_leads_nowhere_is_the_end(
    client: EnhancedAPIClient, api_server: ApiServer, page: Any
) -> None:
    api_server.route("/x", Reply(json=page))
    assert list(client.paginate("/x", next="cursor:meta.next->after")) == [page]
    assert list(client.paginate("/x", next="url:meta.next")) == [page]


# -- what is on a page -----------------------------------------------------------------------------


def test_items_are_those_of_each_page(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    linked(api_server, 3)
    all_of_them = [10, 11, 20, 21, 30, 31]
    assert list(client.paginate("/users", items="data")) == all_of_them
    assert list(client.paginate("/users", items=lambda page: page["data"])) == all_of_them


def test_a_page_without_its_list_is_an_error_after_the_items_before_it(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    link = {"Link": "</b>; rel=next"}
    api_server.route("/a", Reply(json={"data": [1, 2]}, headers=link))
    api_server.route("/b", Reply(json={"error": "busy"}))
    items = client.paginate("/a", items="data")
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(PaginationError, match="'data' of the page must be a list, but there is no"):
        next(items)


# -- lazily, and ahead -----------------------------------------------------------------------------


def test_nothing_is_asked_before_the_first_page_is_wanted(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    linked(api_server, 3)
    pages = client.paginate("/users", prefetch=5)
    assert api_server.hits() == 0
    assert next(pages)["page"] == 1


@pytest.mark.parametrize("prefetch", [0, 1, 2, 5])
def test_so_many_pages_are_asked_for_ahead_and_no_more(
    client: EnhancedAPIClient, api_server: ApiServer, prefetch: int
) -> None:
    linked(api_server, 50)
    pages = client.paginate("/users", prefetch=prefetch)
    for taken in (1, 2, 3):
        assert next(pages)["page"] == taken
        wait_until(lambda want=taken + prefetch: api_server.hits() == want)  # type: ignore[misc]
        wait_until(lambda: client.get_stats()["in_flight_requests"] == 0)
    assert api_server.hits() == 3 + prefetch


def test_the_next_page_comes_while_this_one_is_worked_on(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    linked(api_server, 2)
    pages = client.paginate("/users")
    next(pages)
    wait_until(lambda: api_server.hits() == 2)  # before it is wanted
    assert next(pages)["page"] == 2


def test_closing_ends_what_is_ahead(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    hold = threading.Event()
    linked(api_server, 2)
    api_server.route("/users", Reply(json={"page": 1}, headers={"Link": "</held>; rel=next"}))
    reply = Reply(json={"page": 2}, headers={"Link": "</never>; rel=next"}, hold=hold)
    api_server.route("/held", reply)
    pages = client.paginate("/users", prefetch=5)
    next(pages)
    wait_until(lambda: api_server.hits("/held") == 1)
    pages.close()  # type: ignore[attr-defined]
    hold.set()
    wait_until(lambda: client.get_stats()["in_flight_requests"] == 0)
    assert list(pages) == []
    assert api_server.hits("/never") == 0


def test_what_has_not_begun_is_cancelled(api_server: ApiServer) -> None:
    hold = threading.Event()
    linked(api_server, 3)
    api_server.route("/held", Reply(json=0, hold=hold))
    with EnhancedAPIClient(api_server.base_url, max_connections=1, max_retries=0) as client:
        pages = client.paginate("/users")
        client._crew.submit(lambda: hold.wait(10))  # the only thread
        next(pages)
        pages.close()  # type: ignore[attr-defined]
        hold.set()
        assert client._crew.submit(lambda: "after it").result(10) == "after it"
    assert api_server.hits("/users") == 1


def test_leaving_a_loop_ends_it(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    linked(api_server, 50)
    for _ in client.paginate("/users"):
        break
    gc.collect()
    wait_until(lambda: client.get_stats()["in_flight_requests"] == 0)
    assert api_server.hits() <= 2


def test_threads_that_all_wait_for_pages_do_not_wait_for_each_other(api_server: ApiServer) -> None:
    linked(api_server, 4)
    with EnhancedAPIClient(api_server.base_url, max_connections=2, enable_cache=False) as client:
        meet = threading.Barrier(2)

        def read() -> list[int]:
            meet.wait(10)
            return numbers(client.paginate("/users", prefetch=2))

        both = [client._crew.submit(read) for _ in range(2)]
        assert [one.result(30) for one in both] == [[1, 2, 3, 4]] * 2


def test_one_deadline_bounds_all_pages(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    linked(api_server, 2)
    hold = threading.Event()
    api_server.script("/a", Reply(json=1, headers={"Link": "</b>; rel=next"}), Reply(json=1))
    api_server.route("/b", Reply(json=2, hold=hold))
    with client.deadline(0.3):
        pages = client.paginate("/a")
        assert next(pages) == 1
        with pytest.raises(requests.Timeout):
            next(pages)
    hold.set()


# -- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize("prefetch", [0, 1, 9])
def test_an_error_is_raised_where_its_page_would_have_come(
    client: EnhancedAPIClient, api_server: ApiServer, prefetch: int
) -> None:
    linked(api_server, 9)
    pages = client.paginate("/users", prefetch=prefetch, next=_third_fails)
    assert [next(pages)["page"], next(pages)["page"]] == [1, 2]
    with pytest.raises(requests.HTTPError) as caught:
        next(pages)
    assert caught.value.response.status_code == 503
    assert list(pages) == []


def _third_fails(page: Any) -> str:
    return "/status/503" if page["page"] == 2 else f"/users?page={page['page'] + 1}"


def test_an_error_of_the_callers_own_rule_comes_after_its_page(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    linked(api_server, 9)
    pages = client.paginate("/users", next=lambda page: page["nothing"])
    assert next(pages)["page"] == 1
    with pytest.raises(KeyError, match="nothing"):
        next(pages)


@pytest.mark.parametrize("told", [5, ["/x"], b"/x", True])
def test_a_rule_that_returns_something_else_is_told_so(
    client: EnhancedAPIClient, told: Any
) -> None:
    pages = client.paginate("/users", next=lambda page: told)
    next(pages)
    with pytest.raises(TypeError, match="next must return an endpoint"):
        next(pages)


@pytest.mark.parametrize("prefetch", [0, 1, 9])
def test_no_secret_follows_a_link_to_another_origin(api_server: ApiServer, prefetch: int) -> None:
    with ApiServer(host="127.0.0.2") as other:
        api_server.route("/a", Reply(json=1, headers={"Link": f"<{other.url('/b')}>; rel=next"}))
        with EnhancedAPIClient(api_server.base_url, headers={"X-API-Key": "k"}) as client:
            pages = client.paginate("/a", prefetch=prefetch)
            assert next(pages) == 1
            with pytest.raises(PaginationError, match="none of this client's") as caught:
                next(pages)
        assert other.hits() == 0
        assert caught.value.request_state == "processed"  # type: ignore[attr-defined]


def test_nor_a_relative_link_of_a_page_that_came_from_there(api_server: ApiServer) -> None:
    with ApiServer(host="127.0.0.2") as other:
        api_server.route("/a", Reply(302, headers={"Location": other.url("/b")}))
        other.route("/b", Reply(json=1, headers={"Link": "</c>; rel=next"}))
        with EnhancedAPIClient(api_server.base_url) as client:
            pages = client.paginate("/a")
            assert next(pages) == 1
            with pytest.raises(PaginationError, match="none of this client's"):
                next(pages)
        assert other.hits("/c") == 0


def test_a_circle_is_an_error_and_not_asked_twice(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.route("/a", Reply(json="a", headers={"Link": "</b?key=secret>; rel=next"}))
    api_server.route("/b", Reply(json="b", headers={"Link": "</b?key=secret>; rel=next"}))
    pages = client.paginate("/a", prefetch=9)
    assert [next(pages), next(pages)] == ["a", "b"]
    with pytest.raises(PaginationError, match=r"in a circle: .*/b\?key=\*\*\* was there before"):
        next(pages)
    assert api_server.hits() == 2


def test_pages_without_an_end_have_one(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    linked(api_server, 1000)
    pages = client.paginate("/users", max_pages=3, prefetch=9)
    assert numbers(itertools.islice(pages, 3)) == [1, 2, 3]
    with pytest.raises(PaginationError, match="more than max_pages=3"):
        next(pages)
    assert api_server.hits() == 3
    linked(api_server, 3)
    client.clear_cache()
    assert numbers(client.paginate("/users", max_pages=3)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("reply", "rule", "text"),
    [
        (Reply(json="text"), "cursor:a->a", "a page must be JSON"),
        (Reply(body=b"..."), "url:a", "a page must be JSON"),
        (Reply(json={"a": {"b": 1}}), "cursor:a->a", "must be a text or a number"),
        (Reply(json={"a": True}), "cursor:a->a", "must be a text or a number"),
        (Reply(json={"a": 5}), "url:a", "must be a URL"),
        (Reply(json={"a": "http://[/"}), "url:a", "no place"),
        (Reply(json={"a": "ftp://x/y"}), "url:a", "none of this client's"),
    ],
)
def test_pages_that_are_not_as_said_are_errors(
    client: EnhancedAPIClient, api_server: ApiServer, reply: Reply, rule: str, text: str
) -> None:
    api_server.route("/x", reply)
    pages = client.paginate("/x", next=rule)
    next(pages)
    with pytest.raises(requests.RequestException, match=text):
        next(pages)


@pytest.mark.parametrize(
    ("arguments", "kind", "name"),
    [
        *[({"next": one}, ValueError, "next") for one in ("", "next", "url:", "url:a->b")],
        *[({"next": one}, ValueError, "next") for one in ("cursor:a", "cursor:->a", "cursor:a->")],
        *[({"next": one}, TypeError, "next") for one in (None, 5, b"link", ["link"])],
        *[({"items": one}, TypeError, "items") for one in ("", 5, ["data"])],
        *[({"prefetch": one}, TypeError, "prefetch") for one in (True, "1", None)],
        ({"prefetch": -1}, ValueError, "prefetch"),
        ({"max_pages": 0}, ValueError, "max_pages"),
        ({"max_pages": None}, TypeError, "max_pages"),
        ({"params": 5}, TypeError, "params"),
        ({"pramas": {}}, TypeError, "pramas"),
        ({"endpoint": "http://elsewhere.example/x"}, ValueError, "endpoint"),
    ],
)
def test_wrong_arguments_are_errors_at_the_call(
    client: EnhancedAPIClient,
    api_server: ApiServer,
    arguments: dict[str, Any],
    kind: type[Exception],
    name: str,
) -> None:
    with pytest.raises(kind, match=name):
        client.paginate(**{"endpoint": "/x", **arguments})
    assert api_server.hits() == 0


def test_a_closed_client_asks_for_no_more_pages(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    linked(api_server, 9)
    pages = client.paginate("/users", prefetch=0)
    next(pages)
    client.close()
    with pytest.raises(ClientClosed):
        next(pages)
    with pytest.raises(ClientClosed):
        client.paginate("/users")


class Odd(AuthBase):
    def __call__(self, request: Any) -> Any:
        return request


def test_calls_that_have_no_name_have_pages_too(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    linked(api_server, 3)
    assert numbers(client.paginate("/users", auth=Odd())) == [1, 2, 3]


# -- awaited ---------------------------------------------------------------------------------------


def test_awaited_it_is_the_same(api_server: ApiServer) -> None:
    linked(api_server, 4)

    async def main() -> list[Any]:
        async with Awaited(api_server.base_url) as client:
            with pytest.raises(ValueError, match="next"):
                client.paginate("/users", next="previous")
            return [one async for one in client.paginate("/users", items="data", prefetch=2)]

    assert run(main()) == [10, 11, 20, 21, 30, 31, 40, 41]
    assert api_server.hits() == 4


def test_awaited_it_may_be_left_early(api_server: ApiServer) -> None:
    linked(api_server, 50)

    async def main() -> None:
        async with Awaited(api_server.base_url) as client:
            pages = client.paginate("/users")
            async for _ in pages:
                break
            await pages.aclose()  # type: ignore[attr-defined]

    run(main())
    assert api_server.hits() <= 2
