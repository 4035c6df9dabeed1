"""Redirects that lead nowhere, in circles, or out of the web."""

from __future__ import annotations

from requests.exceptions import InvalidSchema, TooManyRedirects

from browseros_api import DeadlineExceeded
from tests.faults.case import Case, says
from tests.faults.talk import Act, Talk

__all__ = ["CASES"]


def elsewhere(where: str | bytes) -> Act:
    return lambda talk: talk.send_elsewhere(where)


def go_to_another_host(talk: Talk) -> None:
    port = talk.wire.sock.getsockname()[1]
    talk.send_elsewhere(f"http://localhost:{port}{talk.echo}")


def send_back_and_forth(talk: Talk) -> None:
    there = "b" if "a" in talk.asked.query else "a"
    talk.send_elsewhere(f"{talk.asked.path}?{there}" + ("&keep" * ("keep" in talk.asked.query)))


def weigh_down(talk: Talk) -> None:
    talk.answer(b"x" * 5_000_000, f"Location: {talk.echo}", status="302 Found")


def never_end_the_redirect(talk: Talk) -> None:
    lines = (f"Location: {talk.echo}", "Transfer-Encoding: chunked")
    talk.say(talk.head("HTTP/1.1 302 Found", *lines))
    for _ in range(80):
        talk.say(b"400\r\n" + b"x" * 1024 + b"\r\n")
        talk.pause(0.1)
    talk.hang_up()


CASES = tuple(
    Case(name, what, act, redirects=True, **rules)
    for name, what, act, rules in (
        (
            "redirect-loop", "a redirect to itself",
            lambda talk: talk.send_elsewhere(talk.asked.target),
            {"ends": TooManyRedirects, "gets": 31, "posts": 31},
        ),
        (
            "redirect-pingpong", "a redirect to one that leads back", send_back_and_forth,
            {"ends": TooManyRedirects, "gets": 31, "posts": 31},
        ),
        (
            "redirect-no-location", "a 302 that does not say where to",
            says("HTTP/1.1 302 Found", "Content-Length: 2", body=b"{}", keep=True),
            {"ends": 302, "body": b"{}", "kept": True},
        ),
        (
            "redirect-bad-url", "a redirect to something that is no URL",
            elsewhere("http://[::1"), {"ends": ValueError},
        ),
        (
            "redirect-file", "a redirect to a file of the caller's",
            elsewhere("file:///etc/hostname"), {"ends": InvalidSchema},
        ),
        (
            "redirect-javascript", "a redirect to a script",
            elsewhere("javascript:alert(1)"), {"ends": InvalidSchema},
        ),
        (
            "redirect-empty", "a 302 to nowhere: its Location is empty",
            elsewhere(""), {"ends": 302, "body": b"{}", "kept": True},
        ),
        (
            "redirect-bytes", "a redirect to a path of raw UTF-8",
            lambda talk: talk.send_elsewhere(f"/echo/{talk.asked.token}/café?keep"),
            {"body": None, "gets": 2, "posts": 2, "kept": True},
        ),
        (
            "redirect-other-host", "a redirect to another host, which must not learn any secret",
            go_to_another_host, {"body": None, "gets": 2, "posts": 2, "kept": True},
        ),
        (
            "redirect-big-body", "a redirect with a body of five megabytes",
            weigh_down, {"body": None, "gets": 2, "posts": 2, "kept": True},
        ),
        (
            "redirect-endless-body", "a redirect whose body comes on and on",
            never_end_the_redirect, {"ends": DeadlineExceeded, "hangs": True},
        ),
        (
            "redirect-303-post", "a 303, which makes a GET of everything",
            lambda talk: talk.send_elsewhere(talk.echo, "303 See Other"),
            {"body": None, "gets": 2, "posts": 2, "kept": True},
        ),
        (
            "redirect-307-stream", "a 307, which wants the same body once more",
            lambda talk: talk.send_elsewhere(talk.echo, "307 Temporary Redirect"),
            {"body": None, "gets": 2, "posts": 2, "kept": True},
        ),
    )
)  # fmt: skip
