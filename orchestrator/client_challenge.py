"""Bacalhau's challenge: its name, signed with an RSA key that is kept here, is answered with a token. Needs `cryptography`."""

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

BITS = 2048
TYPE = "challenge"


class ChallengeError(Exception):
    """The challenge cannot be answered here."""


class Params(msgspec.Struct, frozen=True):
    """What a challenge asks to be signed."""

    phrase: str = msgspec.field(default="", name="InputPhrase")


class Method(msgspec.Struct, frozen=True):
    """One way to say who one is."""

    type: str = ""
    params: Params = Params()


class Methods(msgspec.Struct, frozen=True, rename="pascal"):
    """Body of `GET auth`."""

    methods: dict[str, Method] = {}

    def challenge(self) -> tuple[str, Method] | None:
        """The name of the challenge, and it; None = the server has none."""
        return next(((name, method) for name, method in self.methods.items() if method.type == TYPE), None)


class Granted(msgspec.Struct, frozen=True):
    """What the server thinks of an answer to its challenge."""

    success: bool = False
    token: str = ""
    reason: str = ""


class Authentication(msgspec.Struct, frozen=True):
    """Body of `POST auth/{method}`."""

    granted: Granted = msgspec.field(default=Granted(), name="Authentication")


def signed(phrase: str, key_file: Path) -> str:
    """`MethodData` for a phrase (base64), signed with the key of a file, which is made where there is none.

    Raises ChallengeError: no `cryptography`, a file that holds no RSA key, a phrase that is no base64.
    """
    try:
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415
    except ImportError as error:
        message = "this server wants a signature: pip install 'shoal[bacalhau]' lets shoal make one; or use a token"
        raise ChallengeError(message) from error
    try:
        content = base64.b64decode(phrase, validate=True)
        key = key_of(key_file)
    except (ValueError, OSError) as error:
        message = f"{key_file}: {error}"
        raise ChallengeError(message) from error
    signature = key.sign(content, padding.PKCS1v15(), hashes.SHA256())
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    answer = {"PhraseSignature": base64.b64encode(signature).decode(), "PublicKey": base64.b64encode(public).decode()}
    return base64.b64encode(msgspec.json.encode(answer)).decode()


def key_of(path: Path) -> "RSAPrivateKey":
    """The key of a file (PEM), made on first use and readable by its owner alone. Raises ValueError, OSError."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            message = "found another kind of key, allowed: an RSA key"
            raise ValueError(message)
        return key
    made = rsa.generate_private_key(public_exponent=65_537, key_size=BITS)
    content = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - with its mode
        file.write(content)
    return made
