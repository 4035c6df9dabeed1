"""A server's side of digest authentication (RFC 7616): it challenges, and checks what it gets."""

from __future__ import annotations

import hashlib
import itertools
import re
import threading

from browseros_api.testing import Received, Reply

__all__ = ["Guard"]

_HASHES = {
    "MD5": hashlib.md5,
    "SHA": hashlib.sha1,
    "SHA-256": hashlib.sha256,
    "SHA-512": hashlib.sha512,
}
_PAIR = re.compile(r'(\w+)=(?:"([^"]*)"|([^,\s]*))')


class Guard:
    """Answers who knows the password; each nonce is good for ``uses`` requests."""

    def __init__(
        self,
        user: str,
        password: str,
        *,
        algorithm: str = "MD5",
        qop: str | None = "auth",
        uses: int = 1_000_000,
    ) -> None:
        self._user, self._password = user, password
        self._algorithm, self._qop, self._uses = algorithm, qop, uses
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._left: dict[str, int] = {}
        self.challenges = 0

    def __call__(self, received: Received) -> Reply:
        kind, _, told = received.headers.get("Authorization", "").partition(" ")
        said = {name: quoted or bare for name, quoted, bare in _PAIR.findall(told)}
        if kind != "Digest" or said.get("response") != self._expected(received, said):
            return self._challenge()
        with self._lock:
            left = self._left.get(said["nonce"], 0)
            self._left[said["nonce"]] = left - 1
        if left < 1:
            return self._challenge(stale=True)
        return Reply(json={"user": said["username"], "body": received.body.decode()})

    def _challenge(self, *, stale: bool = False) -> Reply:
        nonce = f"nonce{next(self._numbers)}"
        with self._lock:
            self._left[nonce] = self._uses
            self.challenges += 1
        qop = f', qop="{self._qop}"' if self._qop else ""
        challenge = f'Digest realm="r", nonce="{nonce}", algorithm={self._algorithm}{qop}'
        return Reply(
            401,
            json={},
            headers={"WWW-Authenticate": challenge + (", stale=true" if stale else "")},
        )

    def _expected(self, received: Received, said: dict[str, str]) -> str:
        def digest(text: str) -> str:
            return _HASHES[self._algorithm](text.encode()).hexdigest()

        who = digest(f"{self._user}:r:{self._password}")
        what = digest(f"{received.method}:{received.target}")
        middle = [said.get("nonce", "")]
        if self._qop:
            middle += [said.get("nc", ""), said.get("cnonce", ""), "auth"]
        return digest(":".join([who, *middle, what]))
