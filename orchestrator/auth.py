"""Who may do what: the judgement of credentials, roles and namespaces. Pure; the tokens are kept by `tokens`.

A viewer reads, an operator acts on the jobs of its namespaces, an admin does everything, a node speaks for itself alone.
"""

import base64
import binascii
import enum
import hashlib
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from orchestrator.errors import OrchestratorError

JOBS = "/api/v1/orchestrator/jobs"
NODES = "/api/v1/orchestrator/nodes"
AGENTS = "/api/v1/agents/"
LEGACY = ("/requester", "/api/v1/requester")
"""Below them is what programs for Bacalhau 1.3 and before ask, all by POST."""
LEGACY_WRITES = ("/submit", "/cancel")
OPEN = frozenset(
    {
        "/",
        "/version",
        "/livez",
        "/readyz",
        "/schema",
        "/api/v1/agent/alive",
        "/api/v1/agent/version",
        "/api/v1/agent/authconfig",
        "/api/v1/auth",
    }
)
"""What everybody may ask: nothing about jobs and nodes."""
ME = "/api/v1/auth/me"
NO_JOIN = "no join token of this orchestrator: mistyped, revoked, or of another one"


class Role(enum.StrEnum):
    """What a token's holder may do; each may do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Higher may more."""
        return tuple(Role).index(self)


class Other(enum.Enum):
    """What a route wants that is no role."""

    NOTHING = enum.auto()
    NODE = enum.auto()
    """The own token of the node that the path names."""
    JOIN = enum.auto()
    """A join token."""


class Token(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A token of a person or a program."""

    name: str
    hash: str
    """SHA-256 of the token, hexadecimal: the token itself is shown once and kept nowhere."""
    role: Role
    namespaces: tuple[str, ...] = ()
    """Empty = all."""
    created: float
    expires: float = 0.0
    """Seconds since 1970; 0 = never."""


class JoinToken(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """With it a node gets a token of its own."""

    name: str
    hash: str
    created: float
    expires: float
    uses: int
    """How many nodes may still join with it; -1 = as many as want to until it expires."""


class NodeToken(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A node's own token, good under its name only."""

    name: str
    hash: str
    created: float


class Book(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """All tokens of an orchestrator."""

    is_required: bool = False
    """Whether requests have to show one: from the first token on, also when all of them were revoked since."""
    tokens: tuple[Token, ...] = ()
    joins: tuple[JoinToken, ...] = ()
    nodes: tuple[NodeToken, ...] = ()


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks."""

    name: str
    role: Role | None
    """None = a node, or someone who only looks whether we are here."""
    namespaces: tuple[str, ...] = ()
    """Empty = all."""

    def may_use(self, namespace: str) -> bool:
        """Whether the jobs of a namespace are its business."""
        return not self.namespaces or namespace in self.namespaces


EVERYBODY = Principal(name="", role=Role.ADMIN)
"""Who asks where no tokens are wanted."""
NOBODY = Principal(name="", role=None)


class UnauthorizedError(OrchestratorError):
    """It is not known who asks: no credential, or none that is good."""

    status = 401
    code = "Unauthorized"
    component = "Authorizer"

    def __init__(self, reason: str) -> None:
        hint = "Unauthorized principal. Event has been recorded."
        super().__init__("Request Unauthorized", hint=hint, details={"reason": reason})
        self.reason = reason


class ForbiddenError(OrchestratorError):
    """Who asks may not do this; the details say why, and which role may."""

    status = 403
    code = "Forbidden"
    component = "Authorizer"

    def __init__(self, reason: str, role: Role | None = None) -> None:
        hint = "Check if user have access to this resource. Event has been recorded."
        details = {"reason": reason} | ({"role": str(role)} if role else {})
        super().__init__("Request Forbidden", hint=hint, details=details)
        self.reason = reason


class Keyring:
    """The tokens of a book, found by their hash."""

    def __init__(self, book: Book) -> None:
        self.book = book
        every: list[Token | JoinToken | NodeToken] = [*book.tokens, *book.joins, *book.nodes]
        self.records: Mapping[str, Token | JoinToken | NodeToken] = MappingProxyType({one.hash: one for one in every})


def hash_of(token: str) -> str:
    """Under which a token is kept. Tokens are random, 192 bits: nothing slower is needed."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def needed(method: str, path: str) -> Role | Other:
    """What a route, by its path with the names of its parameters, wants of who asks.

    One that is not thought of here is for admins, or for viewers where it only reads.
    """
    if path.startswith(AGENTS):
        return Other.JOIN if path.endswith("/join") else Other.NODE
    if path in OPEN or (path.startswith("/api/v1/auth/") and path != ME):
        return Other.NOTHING
    if is_legacy(path):
        return Role.OPERATOR if path.endswith(LEGACY_WRITES) else Role.VIEWER
    if method in ("GET", "HEAD", "OPTIONS"):
        return Role.VIEWER
    if path == JOBS or path.startswith(JOBS + "/"):
        return Role.OPERATOR
    return Role.ADMIN


def judge(keys: Keyring, header: str, method: str, path: str, node: str, now: float) -> Principal:
    """Who asks, where they may ask this.

    `header` is `Authorization`, `path` the route's, `node` the node that is named in it, `now` seconds since 1970. Which
    job is meant is not known here, so that the caller sees to namespaces. Raises UnauthorizedError, ForbiddenError.
    """
    need = needed(method, path)
    if need is Other.NOTHING:
        return NOBODY
    found = known(keys, header, now, NO_JOIN) if need is Other.JOIN else known(keys, header, now)
    match found, need:
        case Token(), Role():
            if found.role.rank < need.rank:
                lacks = f"user '{found.name}' does not have the required capability '{capability(method, path)}'"
                reason = f"{lacks}: it has role {found.role}, needed: {need}"
                raise ForbiddenError(reason, need)
            return Principal(name=found.name, role=found.role, namespaces=found.namespaces)
        case NodeToken(), Other.NODE:
            if node != found.name:
                reason = f"this token is that of node {found.name}: it is not good for node {node}"
                raise ForbiddenError(reason)
            return Principal(name=found.name, role=None)
        case JoinToken(), Other.JOIN:
            return Principal(name=found.name, role=None)
        case JoinToken(), Other.NODE:
            reason = "a join token is only good for joining: the node has to use the token that it got by it"
            raise UnauthorizedError(reason)
        case Token(), _:
            reason = f"the token of user '{found.name}' is none of a node: nodes join with one of `shoal node token`"
            raise ForbiddenError(reason)
        case _, Role():
            kind = "node" if isinstance(found, NodeToken) else "join"
            reason = f"a {kind} token has no role, needed: {need}"
            raise ForbiddenError(reason, need)
        case _:
            reason = f"node {found.name} has joined already; its own token is not good for joining"
            raise ForbiddenError(reason)


def known(keys: Keyring, header: str, now: float, unknown: str = "invalid API key") -> Token | JoinToken | NodeToken:
    """Whose credential this is. Raises UnauthorizedError with Bacalhau's reasons, or `unknown` for a token that is nobody's."""
    user, secret = credential(header)
    found = keys.records.get(hash_of(secret))
    if user is not None:
        if not isinstance(found, Token) or found.name.casefold() != user.casefold():
            reason = "invalid basic auth credentials"
            raise UnauthorizedError(reason)
    elif found is None:
        raise UnauthorizedError(unknown)
    assert found is not None
    if not isinstance(found, NodeToken) and 0 < found.expires <= now:
        kind = "join token" if isinstance(found, JoinToken) else "invalid API key: token"
        reason = f"{kind} '{found.name}' expired {now - found.expires:.0f} s ago"
        raise UnauthorizedError(reason)
    return found


def credential(header: str) -> tuple[str | None, str]:
    """User (None with a bearer token) and secret. Raises UnauthorizedError."""
    if not header:
        reason = "Missing Authorization header"
        raise UnauthorizedError(reason)
    scheme, _, rest = header.partition(" ")
    match scheme.lower():
        case "bearer":
            if not rest.strip():
                reason = "invalid authorization header format, expected 'Bearer TOKEN'"
                raise UnauthorizedError(reason)
            return None, rest.strip()
        case "basic":
            try:
                text = base64.b64decode(rest.strip(), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                text = ""
            user, colon, secret = text.partition(":")
            if not colon:
                reason = "invalid basic auth credentials format"
                raise UnauthorizedError(reason)
            return user, secret
        case _:
            reason = "unsupported authentication method"
            raise UnauthorizedError(reason)


def is_legacy(path: str) -> bool:
    """Whether a route is one of Bacalhau 1.3 and before."""
    return path.startswith(tuple(f"{one}/" for one in LEGACY))


def capability(method: str, path: str) -> str:
    """What Bacalhau calls the right to a request: `read:job`, `write:node`, ..."""
    if is_legacy(path):
        return f"{'write' if path.endswith(LEGACY_WRITES) else 'read'}:job"
    things = {JOBS: "job", "/api/v1/agent/": "agent"}
    thing = next((word for begin, word in things.items() if path.startswith(begin)), "node")
    return f"{'read' if method == 'GET' else 'write'}:{thing}"
