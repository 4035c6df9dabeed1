"""A batch with a checkpoint asks for nothing twice, whatever has ended it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.auth import AuthBase

from browseros_api import EnhancedAPIClient
from browseros_api.checkpoints import Checkpoint, Unwritten
from browseros_api.testing import ApiServer, Received, Reply, wait_until
from tests.awaiting import run
from tests.interrupting import interrupt

ROOT = Path(__file__).resolve().parent.parent
PATHS = [f"/users/{number}" for number in range(20)]


@pytest.fixture
def client(api_server: ApiServer) -> Iterator[EnhancedAPIClient]:
    with EnhancedAPIClient(api_server.base_url, max_retries=0) as client:
        yield client


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def again(server: ApiServer, path: Path, **options: Any) -> list[Any]:
    """What a new client makes of the same batch; how much it asks for is counted from zero."""
    server.reset_counts()
    arguments = options.pop("arguments", {})
    with EnhancedAPIClient(server.base_url, max_retries=0, **options) as client:
        return list(client.get_many(PATHS, checkpoint=path, **arguments))


# -- what is there is not asked for ----------------------------------------------------------------


def test_a_fallback_is_no_answer_and_is_asked_for_again(
    api_server: ApiServer, client: EnhancedAPIClient, path: Path
) -> None:
    api_server.script("/users/1", Reply(500), Reply(json=1))
    batch = {"endpoints": ["/users/1"], "checkpoint": path, "fallback": {"none": True}}
    assert list(client.get_many(**batch)) == [{"none": True}]
    assert lines(path) == []
    assert list(client.get_many(**batch)) == [1]
    assert [line["answer"] for line in lines(path)] == [1]


def test_a_second_run_asks_for_nothing(
    client: EnhancedAPIClient, api_server: ApiServer, path: Path
) -> None:
    first = list(client.get_many(PATHS, checkpoint=path))
    assert [answer["path"] for answer in first] == PATHS
    assert again(api_server, path) == first
    assert api_server.hits() == 0


def test_a_batch_that_was_left_goes_on_where_it_was(
    client: EnhancedAPIClient, api_server: ApiServer, path: Path
) -> None:
    answers = client.get_many(PATHS, max_workers=1, checkpoint=str(path))
    for _ in range(5):
        next(answers)
    answers.close()  # type: ignore[attr-defined]
    client.close()
    wait_until(lambda: not [t for t in threading.enumerate() if "api-batch" in t.name])
    kept = len(lines(path))
    assert 5 <= kept < 20
    found = again(api_server, path)
    assert [answer["path"] for answer in found] == PATHS
    assert api_server.hits() == 20 - kept


def test_what_was_in_the_air_when_it_was_left_is_kept(
    client: EnhancedAPIClient, api_server: ApiServer, path: Path
) -> None:
    hold = threading.Event()
    api_server.route("/held", Reply(json="late", hold=hold))
    answers = client.get_many(["/a", "/held"], max_workers=2, checkpoint=path, ordered=False)
    assert next(answers)["path"] == "/a"
    wait_until(lambda: api_server.hits("/held") == 1)
    answers.close()  # type: ignore[attr-defined]
    hold.set()
    wait_until(lambda: len(lines(path)) == 2)
    assert lines(path)[1]["answer"] == "late"


def test_a_failure_is_asked_for_again(
    client: EnhancedAPIClient, api_server: ApiServer, path: Path
) -> None:
    api_server.script("/users/7", Reply(500), Reply(json="seven"))
    first = list(client.get_many(PATHS, checkpoint=path, on_error="return"))
    assert isinstance(first[7], requests.HTTPError)
    assert again(api_server, path)[7] == "seven"
    assert [request.path for request in api_server.requests] == ["/users/7"]


def test_every_kind_of_answer_comes_back_as_it_was(
    client: EnhancedAPIClient, api_server: ApiServer, path: Path
) -> None:
    replies = {
        "/json": Reply(json={"ä": [1, 2.5, None, True]}),
        "/text": Reply(body="zwei\nZeilen"),
        "/none": Reply(204),
        "/bytes": Reply(body=b"\x00\xff\n"),
    }
    for name, reply in replies.items():
        api_server.route(name, reply)
    first = list(client.get_many([*replies], checkpoint=path))
    assert first == [{"ä": [1, 2.5, None, True]}, "zwei\nZeilen", None, b"\x00\xff\n"]
    assert list(client.get_many([*replies], checkpoint=path)) == first
    client.clear_cache()
    assert list(client.get_many([*replies], checkpoint=path, ordered=True)) == first
    assert api_server.hits() == 4


def test_a_call_that_is_twice_in_the_list_is_once_in_the_file(
    client: EnhancedAPIClient, path: Path
) -> None:
    assert len(list(client.get_many(["/x"] * 9, checkpoint=path))) == 9
    assert len(lines(path)) == 1


def test_the_awaited_client_has_it_too(api_server: ApiServer, path: Path) -> None:
    from browseros_api.aio import EnhancedAPIClient as Awaited  # noqa: PLC0415

    async def main() -> list[Any]:
        async with Awaited(api_server.base_url) as client:
            return [one async for one in client.get_many(PATHS, checkpoint=path)]

    first = run(main())
    assert again(api_server, path) == first
    assert api_server.hits() == 0


# -- who asks for what -----------------------------------------------------------------------------


def test_nobody_is_given_what_somebody_else_has_asked_for(
    client: EnhancedAPIClient, api_server: ApiServer, path: Path
) -> None:
    list(client.get_many(PATHS, checkpoint=path))
    for options in (
        {"headers": {"Authorization": "Bearer bob"}},
        {"headers": {"Accept-Language": "fr"}},
    ):
        again(api_server, path, **options)
        assert api_server.hits() == 20
    again(api_server, path, arguments={"params": {"page": 2}})
    assert api_server.hits() == 20
    again(api_server, path, arguments={"cookies": {"user": "bob"}})
    assert api_server.hits() == 20


def test_under_a_name_a_new_token_finds_the_answers(api_server: ApiServer, path: Path) -> None:
    old, new = ({"headers": {"Authorization": f"Bearer {one}"}} for one in ("old", "new"))
    first = again(api_server, path, **old, arguments={"share": "acme"})
    assert again(api_server, path, **new, arguments={"share": "acme"}) == first
    assert api_server.hits() == 0


def test_cookies_that_the_server_sets_change_nothing(api_server: ApiServer, path: Path) -> None:
    numbers = iter(range(1000))

    def reply(request: Received) -> Reply:
        return Reply(json={}, headers={"Set-Cookie": f"visit={next(numbers)}"})

    api_server.route("*", reply)
    again(api_server, path)
    again(api_server, path)
    assert api_server.hits() == 0


def test_no_secret_is_written(api_server: ApiServer, path: Path) -> None:
    api_server.route("*", Reply(json={}))
    secret = "s3cr3t"
    headers = {"Authorization": f"Bearer {secret}", "X-API-Key": secret}
    arguments = {"params": {"api_key": secret}, "cookies": {"session": secret}}
    again(api_server, path, headers=headers, arguments=arguments)
    assert secret not in path.read_text("utf-8")
    assert lines(path)[0]["url"].endswith("?api_key=***")
    if os.name == "posix":
        assert path.stat().st_mode & 0o077 == 0


class Odd(AuthBase):
    def __call__(self, request: Any) -> Any:
        return request


@pytest.mark.parametrize("arguments", [{"auth": Odd()}, {"data": "a body"}, {"hooks": {"x": []}}])
def test_calls_without_a_name_are_refused(
    client: EnhancedAPIClient, path: Path, arguments: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="checkpoint needs calls that can be told apart"):
        next(client.get_many(PATHS, checkpoint=path, **arguments))


# -- the file --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 2, 30, -1])
def test_a_torn_last_line_is_dropped(
    client: EnhancedAPIClient, api_server: ApiServer, path: Path, cut: int
) -> None:
    first = list(client.get_many(PATHS, checkpoint=path))
    whole = path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    path.write_bytes(whole[: -len(last)] + last[:cut])
    assert again(api_server, path) == first
    assert api_server.hits() == 1
    assert sorted(path.read_bytes().splitlines()) == sorted(whole.splitlines())


@pytest.mark.parametrize("torn", [b"", b"{", b'{"key": "ab', b'{"key'])
def test_a_file_that_was_only_begun_is_a_new_one(
    client: EnhancedAPIClient, path: Path, torn: bytes
) -> None:
    path.write_bytes(torn)
    assert len(list(client.get_many(PATHS, checkpoint=path))) == 20
    assert len(lines(path)) == 20


@pytest.mark.parametrize(
    "content", [b"a,b\n1,2\n", b'{"id": 1}\n', b"notes", b"[1]\n", b"\xff\xfe\n", b'{"key": 5}\n']
)
def test_a_file_that_is_something_else_is_refused_and_left_alone(
    client: EnhancedAPIClient, api_server: ApiServer, path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is none; name a new file"):
        client.get_many(PATHS, checkpoint=path)
    assert path.read_bytes() == content
    assert api_server.hits() == 0


def test_a_line_that_cannot_be_read_is_asked_for_again(
    client: EnhancedAPIClient, api_server: ApiServer, path: Path
) -> None:
    first = list(client.get_many(PATHS, checkpoint=path))
    kept = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*kept[:3], b"\x00" * 10 + b"\n", *kept[4:]]))
    assert again(api_server, path) == first
    assert api_server.hits() == 1


@pytest.mark.parametrize("wrong", [5, b"run.jsonl", ["run.jsonl"]])
def test_what_is_no_path_is_refused(client: EnhancedAPIClient, wrong: Any) -> None:
    with pytest.raises(TypeError, match="checkpoint must be a path"):
        client.get_many(PATHS, checkpoint=wrong)


def test_a_folder_that_is_not_there_is_heard_of_at_the_call(
    client: EnhancedAPIClient, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        client.get_many(PATHS, checkpoint=tmp_path / "none" / "run.jsonl")


@pytest.mark.parametrize("on_error", ["raise", "return", "skip"])
def test_a_file_that_cannot_be_written_to_ends_the_batch(
    client: EnhancedAPIClient, path: Path, on_error: Any
) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no device here that is always full")
    answers = client.get_many(PATHS, checkpoint=path, on_error=on_error)
    path.unlink()
    path.symlink_to("/dev/full")
    with pytest.raises(Unwritten, match="No space left"):
        list(answers)


def test_it_knows_what_it_holds(client: EnhancedAPIClient, path: Path) -> None:
    list(client.get_many(PATHS, checkpoint=path))
    kept = Checkpoint(path)
    assert len(kept) == 20
    assert client._planned("GET", "/users/3") in kept
    assert client._planned("GET", "/users/99") not in kept


# -- interrupted, killed ---------------------------------------------------------------------------

SCRIPT = """
import sys
import threading
import time
from browseros_api import EnhancedAPIClient, batches

printed, main = [], threading.main_thread().ident


def watch():
    # Whether the batch is waiting for what comes after nine answers: Ctrl-C is to find it there.
    while len(printed) < 9 or not any(is_batch(frame) for frame in stack()):
        time.sleep(0.001)
    print("waiting\\n", end="", flush=True)  # in one piece


def stack():
    frame = sys._current_frames()[main]
    while frame:
        yield frame
        frame = frame.f_back


def is_batch(frame):
    return frame.f_code.co_filename == batches.__file__


threading.Thread(target=watch, daemon=True).start()
with EnhancedAPIClient(sys.argv[1], enable_cache=False) as client:
    endpoints = [f"/{number}" for number in range(40)]
    for answer in client.get_many(endpoints, max_workers=2, checkpoint=sys.argv[2]):
        print(answer["path"] + "\\n", end="", flush=True)
        printed.append(answer)
"""


@pytest.fixture
def script(tmp_path: Path) -> list[str]:
    file = tmp_path / "batch.py"
    file.write_text(textwrap.dedent(SCRIPT), "utf-8")
    return [sys.executable, str(file)]


def started(line: list[str], **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    return subprocess.Popen(line, env=environment, stdout=pipe, stderr=pipe, text=True, **options)


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_was_ended_goes_on_from_its_file(
    api_server: ApiServer, script: list[str], path: Path, number: int
) -> None:
    hold = threading.Event()
    api_server.route("/9", Reply(json={"path": "/9"}, hold=hold))
    line = [*script, api_server.base_url, str(path)]
    process = started(line)
    assert process.stdout is not None
    seen = [process.stdout.readline().strip() for _ in range(10)]
    assert seen.pop() == "waiting"
    wait_until(lambda: api_server.hits("/9") == 1)
    interrupt(process, number)
    hold.set()
    _, complaints = process.communicate(timeout=30)
    assert process.returncode == -number
    if number == signal.SIGINT:
        told = f"KeyboardInterrupt: 9 of 40 done; the same call goes on from {str(path)!r}"
        assert complaints.splitlines()[-1] == told
    whole = [one for one in path.read_bytes().splitlines(keepends=True) if one.endswith(b"\n")]
    assert len(whole) >= len(seen) == 9
    api_server.reset_counts()
    rest = subprocess.run(
        line, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=30, check=True,
    )  # fmt: skip
    found = [one for one in rest.stdout.split() if one != "waiting"]
    assert found == [f"/{one}" for one in range(40)]
    assert api_server.hits() == 40 - len(whole)
