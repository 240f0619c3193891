"""The tokens of an orchestrator: one file in its data directory, changed by `shoal token` and by nodes that join.

Only hashes are kept. Whoever changes the file holds its lock and replaces it whole; a running server reads it again by itself.
"""

import contextlib
import fcntl
import os
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog
from msgspec.structs import replace

from orchestrator.auth import Book, JoinToken, Keyring, NodeToken, Role, Token, UnauthorizedError, hash_of
from orchestrator.errors import OrchestratorError

T = TypeVar("T")

FILE = "tokens.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
EXPIRED_FOR = 7 * 86_400.0
"""Seconds that an expired join token is remembered, so that its refusal can say so."""
log = structlog.get_logger()


class TokenError(Exception):
    """The tokens cannot be read or not be changed so; the message says why."""


class NodeNameTakenError(OrchestratorError):
    """Another node of that name has joined before."""

    status = 409
    code = "NodeNameTaken"
    component = "Authorizer"

    def __init__(self, node: str) -> None:
        super().__init__(
            f"a node called {node} has joined already, with a token of its own",
            hint=f"give this node another --name, or its old data directory; or: shoal node token --revoke {node}",
        )


class Tokens:
    """The tokens of one data directory."""

    def __init__(self, directory: Path, *, is_exposed: bool = False) -> None:
        """`is_exposed`: who is not known is refused whatever the file says."""
        self.path = directory / FILE
        self.is_exposed = is_exposed
        self._keys = Keyring(Book())
        self._stamp: tuple[int, int, int] | None = None

    def keys(self) -> Keyring:
        """What is in the file now, read again only where it has changed. A file that got unreadable changes nothing."""
        stamp = self._stamp_now()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                book = read(self.path)
            except TokenError as error:
                log.error("tokens_unreadable", reason=str(error))  # noqa: TRY400 - the reason says all
            else:
                self.is_exposed = self.is_exposed or book.is_required
                self._keys = Keyring(book)
        return self._keys

    def is_required(self) -> bool:
        """Whether requests have to show who sends them. Once so, until this process ends."""
        self.keys()
        return self.is_exposed

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self.path)  # noqa: PTH116 - at every request, and five times as quick
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


def read(path: Path) -> Book:
    """The tokens of a file; none where there is no file. Raises TokenError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Book)
    except FileNotFoundError:
        return Book()
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise TokenError(message) from error
    except msgspec.MsgspecError as error:
        message = f"{path}: this is no file of tokens: {error}"
        raise TokenError(message) from error


def change(directory: Path, turn: Callable[[Book], tuple[Book, T]]) -> T:
    """Replace the tokens by what `turn` makes of them; durable on return. Raises TokenError and what `turn` raises."""
    path = directory / FILE
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory / "tokens.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            old = read(path)
            book, result = turn(old)
            if book != old:
                _write(path, book)
        finally:
            os.close(lock)
    except OSError as error:
        message = f"{error.filename or path}: {error.strerror}"
        raise TokenError(message) from error
    return result


def _write(path: Path, book: Book) -> None:
    """Replace the file, readable by its owner only: whoever owns the directory, also where root writes."""
    fresh = path.with_suffix(".new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, msgspec.json.format(msgspec.json.encode(book), indent=2) + b"\n")
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(file, owner.st_uid, owner.st_gid)
        os.fsync(file)
    finally:
        os.close(file)
    fresh.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def create(directory: Path, name: str, role: Role, namespaces: tuple[str, ...], ttl: float) -> tuple[str, Token]:
    """A new token, and what is kept of it. `ttl` in seconds, 0 = for ever. Raises TokenError."""
    if not NAME.fullmatch(name):
        message = f"name: found {name!r}, allowed: at most 100 letters, digits, - _ and ."
        raise TokenError(message)
    secret, now = f"shoal_u_{secrets.token_urlsafe(24)}", time.time()
    made = Token(
        name=name,
        hash=hash_of(secret),
        role=role,
        namespaces=namespaces,
        created=now,
        expires=now + ttl if ttl else 0.0,
    )

    def turn(book: Book) -> tuple[Book, None]:
        kept = tuple(one for one in book.tokens if one.name.casefold() != name.casefold() or 0 < one.expires <= now)
        if len(kept) < len(book.tokens):
            message = f"there is a token {name} already: choose another name, or: shoal token revoke {name}"
            raise TokenError(message)
        kept = tuple(one for one in kept if one.name.casefold() != name.casefold())
        return replace(book, is_required=True, tokens=(*kept, made)), None

    change(directory, turn)
    return secret, made


def revoke(directory: Path, name: str) -> None:
    """Make a token, or a join token, worthless from now on. Raises TokenError where there is none of that name."""

    def turn(book: Book) -> tuple[Book, None]:
        tokens = tuple(one for one in book.tokens if one.name.casefold() != name.casefold())
        joins = tuple(one for one in book.joins if one.name != name)
        if len(tokens) + len(joins) == len(book.tokens) + len(book.joins):
            every: list[Token | JoinToken] = [*book.tokens, *book.joins]
            names = ", ".join(one.name for one in every) or "none"
            message = f"there is no token {name}; there are: {names}"
            raise TokenError(message)
        return replace(book, tokens=tokens, joins=joins), None

    change(directory, turn)


def create_join(directory: Path, ttl: float, uses: int) -> tuple[str, JoinToken]:
    """A new join token, and what is kept of it. `ttl` in seconds; `uses` -1 = any number. Raises TokenError."""
    secret, now = f"shoal_j_{secrets.token_urlsafe(24)}", time.time()
    made = JoinToken(
        name=f"join-{secrets.token_hex(3)}", hash=hash_of(secret), created=now, expires=now + ttl, uses=uses
    )

    def turn(book: Book) -> tuple[Book, None]:
        kept = (one for one in book.joins if one.expires > now - EXPIRED_FOR)
        return replace(book, joins=(*kept, made)), None

    change(directory, turn)
    return secret, made


def join(directory: Path, join_hash: str, node: str, node_hash: str) -> None:
    """Take a node in: its token is good from now on. A node whose answer was lost may say the same again, at no cost.

    Raises UnauthorizedError for a join token that is used up, NodeNameTakenError, TokenError.
    """

    def turn(book: Book) -> tuple[Book, None]:
        taken = next((one for one in book.nodes if one.name == node), None)
        if taken is not None and taken.hash == node_hash:
            return book, None
        token = next((one for one in book.joins if one.hash == join_hash), None)
        if token is None or token.uses == 0:
            reason = f"join token '{token.name}' is used up" if token else "invalid API key"
            raise UnauthorizedError(reason)
        if taken is not None:
            raise NodeNameTakenError(node)
        made = NodeToken(name=node, hash=node_hash, created=time.time())
        left = replace(token, uses=token.uses - 1) if token.uses > 0 else token
        joins = tuple(left if one is token else one for one in book.joins)
        return replace(book, joins=joins, nodes=(*book.nodes, made)), None

    change(directory, turn)


def revoke_node(directory: Path, node: str) -> bool:
    """Make a node's own token worthless from now on. Whether it had one. Raises TokenError."""

    def turn(book: Book) -> tuple[Book, bool]:
        kept = tuple(one for one in book.nodes if one.name != node)
        return replace(book, nodes=kept), len(kept) < len(book.nodes)

    return change(directory, turn)
