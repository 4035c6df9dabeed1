"""Records that only those can read who have the key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

__all__ = ["Seal"]


class Seal:
    """Encrypts with the first of its keys, and reads what was encrypted with any of them.

    Keys are those of ``cryptography.fernet.Fernet``: AES in CBC mode, signed with HMAC-SHA256.
    """

    def __init__(self, keys: Sequence[str | bytes]) -> None:
        try:
            from cryptography.fernet import (  # noqa: PLC0415  (an extra)
                Fernet,
                InvalidToken,
                MultiFernet,
            )
        except ImportError:
            raise ImportError(
                "store_key needs cryptography: pip install 'browseros-api[encryption]'"
            ) from None
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:  # whose message, and whose traceback, would show the key
            raise ValueError(
                "store_key must be a key as cryptography.fernet.Fernet.generate_key() makes it, "
                "or a sequence of such keys"
            ) from None
        self._keys = [key.encode() if isinstance(key, str) else key for key in keys]
        self._unreadable = InvalidToken

    def closed(self, record: bytes) -> bytes:
        """``record``, encrypted."""
        return self._fernet.encrypt(record)

    def opened(self, raw: bytes) -> bytes:
        """What ``closed`` was given; nothing if it was given it under another key."""
        try:
            return self._fernet.decrypt(raw)
        except self._unreadable:
            return b""

    def names(self, text: str) -> list[str]:
        """What stands for ``text`` under each of the keys, the first one's first."""
        return [hmac.new(key, text.encode(), hashlib.sha256).hexdigest() for key in self._keys]
