"""TLS of the server: its certificate, and a line in the log for those that end the handshake."""

import errno
import ssl
from pathlib import Path
from typing import Any

import structlog

SAID = {
    "UNKNOWN_CA": "the other side does not know the authority of our certificate: it needs --ca-file",
    "BAD_CERTIFICATE": "the other side does not take our certificate: is it made for the name or address that it calls?",
    "CERTIFICATE_EXPIRED": "the other side says that our certificate has expired",
    "CERTIFICATE_UNKNOWN": "the other side does not take our certificate",
    "HTTP_REQUEST": "the other side speaks HTTP without TLS: it has to call https://",
    "UNSUPPORTED_PROTOCOL": "the other side speaks no TLS as new as 1.2",
}
"""What went wrong, by a word in OpenSSL's name for it."""
HUNG_UP = "the other side hung up at our certificate: it needs --ca-file, or has to call a name that the certificate is made for"
WAITING = (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""No failures: more has to come, or the other side has gone."""
log = structlog.get_logger()


class Talk(ssl.SSLObject):
    """One connection. A failure of its handshake is told; under TLS 1.3 the other side's refusal comes with the first read."""

    is_done = False
    """Whether the handshake has ended, one way or the other."""
    turns = 0
    """How often it went on: once at the beginning, then with all that the other side said."""

    def do_handshake(self) -> None:
        """As in the base class."""
        self.turns += 1
        try:
            super().do_handshake()
            self.is_done = True
        except ssl.SSLError as error:
            self.is_done = not isinstance(error, WAITING)
            tell(error)
            raise

    def __del__(self) -> None:
        """Most programs that do not trust a certificate hang up and say nothing. Who sent nothing at all only looked."""
        if not self.is_done and self.turns > 1:
            log.warning("tls_refused", reason=HUNG_UP)

    def read(self, *place: Any) -> bytes:
        """As in the base class."""
        try:
            return super().read(*place)
        except ssl.SSLError as error:
            tell(error)
            raise


def tell(error: ssl.SSLError) -> None:
    """Log why a connection was refused, in words where there are any."""
    if not isinstance(error, WAITING):
        reason = error.reason or str(error)
        said = next((words for name, words in SAID.items() if name in reason), reason)
        log.warning("tls_refused", reason=said, openssl=reason)


class Certificate:
    """A certificate and its key, read again when a connection finds that a file of theirs has changed."""

    def __init__(self, cert: Path, key: Path) -> None:
        """Raises OSError (ssl.SSLError too) for files that are no such pair."""
        self.cert = cert
        self.key = key
        self.stamps = self._stamps()
        self.current = pair(cert, key)

    def context(self) -> ssl.SSLContext:
        """What the server speaks TLS by: each connection with the pair of its time."""
        outer = pair(self.cert, self.key)
        outer.sslobject_class = Talk
        outer.sni_callback = self.choose
        return outer

    def choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Show a connection, whatever name it asks for, the pair that the files hold now, or the last good one."""
        self.look()
        connection.context = self.current

    def look(self) -> None:
        """Read the files again if they have changed. What is no pair is told once, and the old one kept."""
        stamps = self._stamps()
        if stamps == self.stamps:
            return
        self.stamps = stamps
        try:
            self.current = pair(self.cert, self.key)
        except OSError as error:
            reason = reason_of(error)
        else:
            log.info("certificate_read", tls_cert=str(self.cert))
            return
        files = {"tls_cert": str(self.cert), "tls_key": str(self.key)}
        log.error("certificate_refused", **files, reason=reason, kept="the one before")

    def _stamps(self) -> tuple[tuple[int, int, int], ...]:
        """What changes with the files; nothing of one that is not there."""
        found = []
        for path in (self.cert, self.key):
            try:
                stat = path.stat()
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        return tuple(found)


def pair(cert: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer with a certificate and its key. Raises OSError (ssl.SSLError too) for files that are no such pair."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key, refused)
    return context


def refused() -> str:
    """A key with a password: nobody is asked for it. Raises OSError."""
    raise OSError(errno.EINVAL, "the key has a password")


def reason_of(error: OSError) -> str:
    """Why files are no pair, in words."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or error.strerror or str(error)).replace("_", " ").lower()
    return (error.strerror or str(error)).lower()
