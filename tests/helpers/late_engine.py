"""A Docker engine that carries an order out late, when whoever gave it may have died."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.helpers.docker import PrivateEngine

ORDER = b"/containers/create"
PIECE = 1 << 16


class LateEngine:
    """A socket before that of a real engine. Made by `late_engine`."""

    def __init__(self, engine: PrivateEngine, path: Path) -> None:
        self.host = f"unix://{path}"
        self.holds = threading.Event()
        """Set once an order to make a container is kept back."""
        self.answer = b""
        """The beginning of what the engine answered to it."""
        self._engine = engine.host.removeprefix("unix://")
        self._is_next = False
        self._may_go = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def hold_next(self) -> None:
        """Keep back the next order to make a container."""
        self._is_next = True

    def let_go(self) -> None:
        """Have the engine carry it out."""
        self._may_go.set()

    def close(self) -> None:
        """Take no more connections."""
        self._may_go.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                engine = self._connected()
                threading.Thread(target=self._to_engine, args=(client, engine), daemon=True).start()

    def _to_engine(self, client: socket.socket, engine: socket.socket) -> None:
        """Pass on what a client says. Requests begin a piece: a client awaits an answer before the next one."""
        answers = threading.Thread(target=_pass_on, args=(engine, client), daemon=True)
        is_begun = False
        with suppress(OSError), client, engine:
            while piece := client.recv(PIECE):
                if self._is_next and piece.startswith(b"POST ") and ORDER in piece.partition(b"\r\n")[0]:
                    self._is_next = False
                    self._hold(piece, client)
                    return
                engine.sendall(piece)
                if not is_begun:
                    answers.start()
                    is_begun = True

    def _connected(self) -> socket.socket:
        engine = socket.socket(socket.AF_UNIX)
        engine.connect(self._engine)
        return engine

    def _hold(self, order: bytes, client: socket.socket) -> None:
        """Keep it back, whether or not the client is there still, and see what the engine says to it."""
        head, _, body = order.partition(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        while len(body) < length:
            body += client.recv(PIECE)
        self.holds.set()
        self._may_go.wait()
        with self._connected() as engine:
            engine.sendall(head + b"\r\n\r\n" + body)
            self.answer = engine.recv(PIECE)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(PIECE):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def late_engine(engine: PrivateEngine, path: Path) -> Iterator[LateEngine]:
    """A socket at `path` that passes on everything, but for an order that it is told to keep back."""
    late = LateEngine(engine, path)
    try:
        yield late
    finally:
        late.close()
