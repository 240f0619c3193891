"""The files of a SQLite store: one owner at a time, nothing opened that is not ours, nothing overwritten."""

import fcntl
import os
import sqlite3
from importlib import resources
from pathlib import Path

from orchestrator.errors import StoreError

DATABASE = "shoal.db"
LOCK = "shoal.lock"
APPLICATION = 0x53484F41
"""`SHOA`: what the database's header says whose it is."""
MAGIC = b"SQLite format 3\x00"


def lock(directory: Path) -> int:
    """Make `directory` ours alone; returns the descriptor of its lock file, which is the lock.

    Raises StoreError that names the path and the process that has it.
    """
    path = directory / LOCK
    descriptor = -1
    try:
        for folder in (*reversed(directory.parents), directory):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        reason = f"in use by another orchestrator, process {holder}: stop it, or use another data directory"
        raise StoreError(str(path), reason) from error
    except OSError as error:
        if descriptor >= 0:
            os.close(descriptor)
        raise StoreError(str(error.filename or path), error.strerror or str(error)) from error
    return descriptor


def open_database(directory: Path) -> sqlite3.Connection:
    """The writing connection to the store in `directory`, made anew where there is none, brought to today's tables.

    Raises StoreError, and leaves the file as it is, when it is no store of ours, cut off, or of a newer program.
    """
    path = directory / DATABASE
    try:
        if not path.exists():
            _make(path)
        _check_header(path)
        connection = connect(path)
        try:
            _check_owner(path, connection)
            _tune(connection)
            _migrate(connection)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise StoreError(str(path), f"cannot be opened: {error}") from error
    except OSError as error:
        raise StoreError(str(error.filename or path), error.strerror or str(error)) from error
    return connection


def connect(path: Path, *, is_reader: bool = False) -> sqlite3.Connection:
    """A connection to the database at `path`, which must exist; a reader cannot write. For one thread at a time."""
    mode = "ro" if is_reader else "rw"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
    )


def _make(path: Path) -> None:
    """A new database appears whole or not at all: an empty or half-made one is a damaged one, not a new one."""
    for suffix in ("-wal", "-journal"):
        rest = path.with_name(path.name + suffix)
        if rest.exists():
            reason = (
                f"is missing, but {rest.name} is there: put the database back, or move that file away to begin anew"
            )
            raise StoreError(str(path), reason)
    draft = path.with_name(path.name + ".new")
    for rest in path.parent.glob(draft.name + "*"):
        rest.unlink()
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = connect(draft)
    try:
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        _tune(connection)
        _migrate(connection)
    finally:
        connection.close()
    draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        header = file.read(100)
    if not header.startswith(MAGIC[: len(header)]) or (header and len(header) < len(MAGIC)):
        raise StoreError(str(path), "is not a database of Shoal: use another data directory")
    size = path.stat().st_size
    rest = path.with_name(path.name + "-wal")
    page = int.from_bytes(header[16:18], "big")
    page = 65536 if page == 1 else page
    is_whole = len(header) == 100 and size >= page * int.from_bytes(header[28:32], "big")
    if not is_whole and not (len(header) == 100 and rest.exists() and rest.stat().st_size):
        reason = f"is cut off: {size} bytes are left. Restore it from a backup, or move it away to begin anew"
        raise StoreError(str(path), reason)


def _check_owner(path: Path, connection: sqlite3.Connection) -> None:
    if _pragma(connection, "application_id") != APPLICATION:
        raise StoreError(str(path), "is a database of another program: use another data directory")
    version, known = _pragma(connection, "user_version"), len(migrations())
    if version > known:
        reason = f"has tables of version {version}, this program knows those up to {known}: use a newer Shoal"
        raise StoreError(str(path), reason)


def _tune(connection: sqlite3.Connection) -> None:
    for setting in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "wal_autocheckpoint = 4000",
        "journal_size_limit = 67108864",
        "secure_delete = OFF",
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {setting}").fetchall()


def migrations() -> list[str]:
    """The scripts that make the tables, in order; the n-th brings a store to version n."""
    folder = resources.files("orchestrator.store") / "migrations"
    scripts = sorted((it for it in folder.iterdir() if it.name.endswith(".sql")), key=lambda it: it.name)
    return [script.read_text(encoding="utf-8") for script in scripts]


def _migrate(connection: sqlite3.Connection) -> None:
    done = _pragma(connection, "user_version")
    for version, script in enumerate(migrations()[done:], done + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {version};\nCOMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
