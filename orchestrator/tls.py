"""TLS of the server: its certificate, and a line in the log for those that end the handshake."""

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


def server_context(cert: Path, key: Path) -> ssl.SSLContext:
    """What the server speaks TLS by: 1.2 or newer. Raises OSError (ssl.SSLError too) for files that are no such pair."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    context.sslobject_class = Talk
    return context
