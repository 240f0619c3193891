"""The node's own token: made here, kept readable by its owner only, known to the orchestrator by its hash once it has joined."""

import hashlib
import os
import secrets
from pathlib import Path

import msgspec

FILE = "node-token"


class Kept(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What is in the file."""

    token: str
    is_joined: bool
    """Whether the orchestrator has said that it knows it."""


class Credentials:
    """What a node shows to its orchestrator. One that has neither token shows nothing."""

    def __init__(self, directory: Path, join_token: str = "") -> None:
        """`join_token` is used when the node's own is not there or not good. Raises OSError, ValueError for a spoilt file."""
        self.path = directory / FILE
        self.join_token = join_token
        try:
            self._kept = msgspec.json.decode(self.path.read_bytes(), type=Kept)
        except FileNotFoundError:
            self._kept = Kept(token="", is_joined=False)
        except msgspec.MsgspecError as error:
            message = f"{self.path}: this is no token of a node ({error}): remove it, and join with a join token"
            raise ValueError(message) from error

    @property
    def token(self) -> str:
        """The node's own token; empty = it has not joined."""
        return self._kept.token if self._kept.is_joined else ""

    def to_join(self) -> str:
        """The hash under which to join. On disk before it is said, so that a node whose answer was lost says the same again.

        Raises OSError.
        """
        if self._kept.is_joined or not self._kept.token:
            self._keep(Kept(token=f"shoal_n_{secrets.token_urlsafe(24)}", is_joined=False))
        return hashlib.sha256(self._kept.token.encode()).hexdigest()

    def joined(self) -> None:
        """The orchestrator knows the token. The join token has done its work. Raises OSError."""
        self._keep(Kept(token=self._kept.token, is_joined=True))
        self.join_token = ""

    def _keep(self, kept: Kept) -> None:
        fresh = self.path.with_suffix(".new")
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, msgspec.json.encode(kept))
            os.fsync(file)
        finally:
            os.close(file)
        fresh.replace(self.path)
        self._kept = kept
