"""Answers of a batch in a file, so that a run which was killed goes on where it ended.

One line of JSON for each answer, written as soon as it is there: its key, which says who asked for
what without a secret in it, the URL with secrets masked, and the answer.
"""

from __future__ import annotations

import base64
import io
import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from http.cookiejar import CookieJar
from typing import Any

from .journal import masked_url
from .keys import digest
from .pipeline import Call

__all__ = ["Checkpoint", "Unwritten"]

_BEGIN = b'{"key": "'  # of each line


class Unwritten(OSError):
    """An answer could not be written down; then the next ones could not, either."""


class Checkpoint:
    """The file at ``path``: where in it the answer to which call is.

    ``cookies`` are those of the session before its first call: what servers set later must not
    change the names of calls.  A last line without its end, as a killed process may leave it, is
    dropped.

    Raises:
        ValueError: the file is something else; it is left as it is.
    """

    def __init__(self, path: str | os.PathLike[str], cookies: Any = None) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"checkpoint must be a path, not {type(path).__name__}")
        self.path = os.fspath(path)
        self._jar = _named(cookies)
        self._lock = threading.Lock()
        self._places: dict[bytes, int] = {}
        self._read()

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, call: Call) -> bool:
        return self._key(call) in self._places

    def answer(self, call: Call, ask: Callable[[], Any]) -> Any:
        """What the file holds of ``call``; else what ``ask`` returns, once that is in the file."""
        key = self._key(call)
        if key in self._places:
            return self._kept(key)
        answer = ask()
        self._write(key, _line(key, call, answer))
        return answer

    def _key(self, call: Call) -> bytes:
        """Who asks for what: as the key of the call, but for cookies that came meanwhile."""
        question = call.question
        if call.key is None or question is None:
            raise ValueError(
                "checkpoint needs calls that can be told apart: without a body, hooks and streams, "
                "and auth of a class of its own needs a name, as in share='acme'"
            )
        words = (question.headers, question.auth, question.way)
        voice = question.asker.voice(call.arguments["url"], *words, share=question.share)
        given = _named(call.arguments.get("cookies"))
        cookies = None if question.share else (self._jar, given)
        return bytes.fromhex(digest("checkpoint", call.method, call.asked, cookies, voice.seal))

    # -- the file --------------------------------------------------------------------------------

    def _opened(self) -> io.FileIO:
        return io.FileIO(self.path, "a+", opener=_opener)  # no buffer: what is written is there

    def _read(self) -> None:
        if os.path.exists(self.path) and not os.path.isfile(self.path):  # a device may have no end
            raise ValueError(f"checkpoint: {self.path!r} is no file")
        place = 0
        with self._opened() as raw, io.BufferedReader(raw) as file:
            file.seek(0)
            for line in file:
                key = _key_in(line)
                is_whole = line.endswith(b"\n")
                if not place and key is None and (is_whole or not _is_torn(line)):
                    raise ValueError(f"checkpoint: {self.path!r} is none; name a new file")
                if not is_whole:
                    raw.truncate(place)
                    return
                if key is not None:
                    self._places[key] = place
                place += len(line)

    def _kept(self, key: bytes) -> Any:
        with open(self.path, "rb") as file:
            file.seek(self._places[key])
            kept = json.loads(file.readline())
        return base64.b64decode(kept["base64"]) if "base64" in kept else kept["answer"]

    def _write(self, key: bytes, line: bytes) -> None:
        with self._lock, self._opened() as file:
            if key in self._places:  # the same call, twice in the list
                return
            place = file.seek(0, os.SEEK_END)
            try:
                written = 0
                while written < len(line):
                    written += file.write(line[written:])
            except OSError as error:
                with suppress(OSError):  # half a line would spoil the next one
                    file.truncate(place)
                raise Unwritten(error.errno, error.strerror, self.path) from error
            self._places[key] = place


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # there are answers in it: they are its owner's


def _named(cookies: Any) -> list[tuple[str, ...]] | None:
    """Cookies, of a jar or of a mapping, in words."""
    if not cookies:
        return None
    if isinstance(cookies, CookieJar):
        return sorted((one.domain, one.path, one.name, str(one.value)) for one in cookies)
    return sorted((str(name), str(value)) for name, value in cookies.items())


def _line(key: bytes, call: Call, answer: Any) -> bytes:
    told = {"answer": answer}
    if isinstance(answer, bytes):
        told = {"base64": base64.b64encode(answer).decode("ascii")}
    return json.dumps({"key": key.hex(), "url": masked_url(call.asked), **told}).encode() + b"\n"


def _key_in(line: bytes) -> bytes | None:
    """The key of a line, if it is one of ours, and whole."""
    try:
        kept = json.loads(line)
        key = bytes.fromhex(kept["key"])
        return key if len(key) == 32 and kept.keys() & {"answer", "base64"} else None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return None


def _is_torn(line: bytes) -> bool:
    return line.startswith(_BEGIN) or _BEGIN.startswith(line)
