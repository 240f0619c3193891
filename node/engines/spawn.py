"""Starts a program: `posix_spawn` with its own session, its output in files, and a working directory.

Python's `os.posix_spawn` cannot change the directory. Changing that of the whole agent for a moment would race with its threads,
and a wrapper (`env -C`) costs a second exec; the C library has the file action, so this calls the C library.
"""

import ctypes
import errno
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

LIBC = ctypes.CDLL(None)
SETSIGDEF, SETSIGMASK, SETSID = 0x04, 0x08, 0x80
OPAQUE = 1024
"""Bytes; more than any of the C library's opaque structs here (at most 336 with glibc or musl)."""
HAS_CLOSEFROM = hasattr(LIBC, "posix_spawn_file_actions_addclosefrom_np")
CREATE = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def spawn(
    program: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    directory: Path,
    stdout: Path,
    stderr: Path,
    keep: int | None = None,
) -> int:
    """Start `program` (a path) and return its pid: leader of a new session, default signals, stdin empty, output appended.

    `arguments` includes argv[0]. `keep` is a descriptor that the program gets as its number 3; it inherits no other. Returns
    after the exec: raises OSError with the errno of whatever failed, and then nothing runs. It is our child: reap it.
    """
    actions = ctypes.create_string_buffer(OPAQUE)
    pid = ctypes.c_int()
    _call("posix_spawn_file_actions_init", actions)
    try:
        for descriptor, path, flags in (
            (0, b"/dev/null", os.O_RDONLY),
            (1, bytes(stdout), CREATE),
            (2, bytes(stderr), CREATE),
        ):
            _call("posix_spawn_file_actions_addopen", actions, descriptor, path, flags, 0o600)
        if keep is not None:
            _call("posix_spawn_file_actions_adddup2", actions, keep, 3)
        if HAS_CLOSEFROM:  # what the agent inherited itself; its own descriptors close on exec anyway
            _call("posix_spawn_file_actions_addclosefrom_np", actions, 3 if keep is None else 4)
        _call("posix_spawn_file_actions_addchdir_np", actions, bytes(directory))
        argv = _strings(arguments)
        envp = _strings([f"{name}={value}" for name, value in environment.items()])
        _call("posix_spawn", ctypes.byref(pid), os.fsencode(program), actions, ATTRIBUTES, argv, envp)
    finally:
        LIBC.posix_spawn_file_actions_destroy(actions)
    return pid.value


def _strings(texts: Sequence[str]) -> ctypes.Array[ctypes.c_char_p]:
    encoded = os.fsencode("\0".join(texts)).split(b"\0") if texts else []
    if len(encoded) != len(texts):
        raise OSError(errno.EINVAL, "an argument or environment variable contains a NUL character")
    return (ctypes.c_char_p * (len(texts) + 1))(*encoded, None)


def _call(name: str, *arguments: object) -> None:
    error = getattr(LIBC, name)(*arguments)
    if error:
        raise OSError(error, os.strerror(error))


def _attributes() -> ctypes.Array[ctypes.c_char]:
    """A new session, no signal blocked, none ignored: Python ignores SIGPIPE, and a child would inherit that."""
    attributes = ctypes.create_string_buffer(OPAQUE)
    signals = ctypes.create_string_buffer(OPAQUE)
    _call("posix_spawnattr_init", attributes)
    LIBC.sigemptyset(signals)
    _call("posix_spawnattr_setsigmask", attributes, signals)
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        LIBC.sigaddset(signals, int(number))
    _call("posix_spawnattr_setsigdefault", attributes, signals)
    _call("posix_spawnattr_setflags", attributes, ctypes.c_short(SETSIGDEF | SETSIGMASK | SETSID))
    return attributes


ATTRIBUTES = _attributes()
