"""Bacalhau's authentication: a challenge that any key may sign. What it gives is a name, not a right."""

import base64
import binascii
import hashlib
import hmac
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from orchestrator.errors import InvalidRequestError
from orchestrator.routes.backend import Backend
from orchestrator.routes.wire import Envelope, HttpRequest, answer, body

METHOD = "clientkey"
MOST_BITS = 16_384
"""Of a modulus: what is larger is not computed with."""
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")
"""What stands before a SHA-256 digest in a signature: its name in ASN.1 (RFC 8017, 9.2)."""


class UnknownMethodError(InvalidRequestError):
    """There is no such authentication method, and so no such route."""

    status = 404
    code = "NotFound"


class AuthRequest(Envelope, frozen=True, kw_only=True):
    """Body of an authentication."""

    method_data: str = ""


class Challenge(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a client answers to the phrase."""

    phrase_signature: str = ""
    public_key: str = ""


@get("/api/v1/auth")
async def list_methods(request: HttpRequest, backend: NamedDependency[Backend]) -> Response[bytes]:
    """How a client may say who it is; where tokens are wanted there is no other way."""
    methods = {} if backend.tokens.is_required() else {METHOD: requirement(backend)}
    return await answer(request, {"NextToken": "", "Methods": methods})


@get("/api/v1/auth/{method:str}")
async def get_method(request: HttpRequest, method: FromPath[str], backend: NamedDependency[Backend]) -> Response[bytes]:
    """What one method wants."""
    if method != METHOD or backend.tokens.is_required():
        raise UnknownMethodError(method)
    return await answer(request, requirement(backend))


@post("/api/v1/auth/{method:str}", status_code=200, body=AuthRequest)
async def authenticate(
    request: HttpRequest, method: FromPath[str], backend: NamedDependency[Backend]
) -> Response[bytes]:
    """A token for a signed phrase; 401 with the reason for one that is not signed."""
    if method != METHOD or backend.tokens.is_required():
        raise UnknownMethodError(method)
    asked = await body(request, AuthRequest)
    try:
        challenge = msgspec.json.decode(base64.b64decode(asked.method_data, validate=True), type=Challenge)
    except (binascii.Error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        message = f"invalid authentication data: {error}"
        raise InvalidRequestError(message) from error
    try:
        modulus, exponent = public_key(unpacked(challenge.public_key))
    except ValueError as error:
        return refused(f"failed to decode public key: {error}")
    try:
        signature = unpacked(challenge.phrase_signature)
    except ValueError as error:
        return refused(f"failed to decode signature: {error}")
    if not is_signed(backend.info.node_id.encode(), signature, modulus, exponent):
        return refused("failed to verify signature: crypto/rsa: verification error")
    client = hashlib.sha256(modulus.to_bytes((modulus.bit_length() + 7) // 8, "big")).hexdigest()
    proof = hmac.new(backend.secret, client.encode(), hashlib.sha256).hexdigest()
    return await answer(request, {"Authentication": {"success": True, "token": f"{client}.{proof}"}})


def requirement(backend: Backend) -> dict[str, Any]:
    """The challenge: to sign the name of this orchestrator."""
    phrase = base64.b64encode(backend.info.node_id.encode()).decode()
    return {"type": "challenge", "params": {"InputPhrase": phrase}}


def refused(reason: str) -> Response[bytes]:
    """401 with the reason."""
    content = {"Authentication": {"success": False, "reason": reason}}
    return Response(msgspec.json.encode(content), status_code=401, media_type="application/json")


def unpacked(text: str) -> bytes:
    """The bytes of base64. Raises ValueError."""
    return base64.b64decode(text, validate=True)


def public_key(der: bytes) -> tuple[int, int]:
    """Modulus and exponent of an RSA key (PKCS #1, DER). Raises ValueError."""
    outer, rest = element(der, 0x30)
    modulus, inner = element(outer, 0x02)
    exponent, end = element(inner, 0x02)
    if rest or end:
        message = "asn1: syntax error: trailing data"
        raise ValueError(message)
    numbers = int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")
    if numbers[0].bit_length() > MOST_BITS or not 2 < numbers[1] < 2**31 or numbers[0].bit_length() < 1024:
        message = (
            f"found {numbers[0].bit_length()} bits and exponent {numbers[1] % 2**64}, allowed: 1024 to {MOST_BITS} bits"
        )
        raise ValueError(message)
    return numbers


def element(der: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the first element, and what follows it. Raises ValueError."""
    if len(der) < 2:
        message = "asn1: syntax error: sequence truncated"
        raise ValueError(message)
    if der[0] != tag:
        message = f"asn1: structure error: found tag {der[0]}, allowed: {tag}"
        raise ValueError(message)
    length, begin = der[1], 2
    if length & 0x80:
        begin += length & 0x7F
        length = int.from_bytes(der[2:begin], "big")
    if begin + length > len(der):
        message = "asn1: syntax error: data truncated"
        raise ValueError(message)
    return der[begin : begin + length], der[begin + length :]


def is_signed(phrase: bytes, signature: bytes, modulus: int, exponent: int) -> bool:
    """Whether a signature (RSASSA-PKCS1-v1_5 with SHA-256) of a phrase is that key's."""
    size = (modulus.bit_length() + 7) // 8
    number = int.from_bytes(signature, "big")
    if len(signature) != size or number >= modulus:
        return False
    digest = SHA256_PREFIX + hashlib.sha256(phrase).digest()
    expected = b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest
    return hmac.compare_digest(pow(number, exponent, modulus).to_bytes(size, "big"), expected)
