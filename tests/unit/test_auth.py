"""Tokens and the judgement of them."""

import base64
import json
import stat
from pathlib import Path

import msgspec
import pytest

from orchestrator.auth import (
    AGENTS,
    JOBS,
    NODES,
    Book,
    ForbiddenError,
    Keyring,
    Other,
    Role,
    Token,
    UnauthorizedError,
    hash_of,
    judge,
    needed,
)
from orchestrator.tokens import (
    NodeNameTakenError,
    TokenError,
    Tokens,
    change,
    create,
    create_join,
    join,
    read,
    revoke,
    revoke_node,
)

SYNC = AGENTS + "{node_id:str}/sync"
JOIN = AGENTS + "{node_id:str}/join"
LATER = 4e9


def keys(directory: Path) -> Keyring:
    return Tokens(directory).keys()


def bearer(token: str) -> str:
    return f"Bearer {token}"


@pytest.mark.parametrize(
    ("method", "path", "need"),
    [
        ("GET", "/livez", Other.NOTHING),
        ("GET", "/api/v1/agent/alive", Other.NOTHING),
        ("POST", "/api/v1/auth/{method:str}", Other.NOTHING),
        ("GET", "/api/v1/auth/me", Role.VIEWER),
        ("GET", JOBS, Role.VIEWER),
        ("PUT", JOBS, Role.OPERATOR),
        ("DELETE", JOBS + "/{job_id:str}", Role.OPERATOR),
        ("GET", NODES, Role.VIEWER),
        ("PUT", NODES + "/{node_id:str}", Role.ADMIN),
        ("PUT", "/api/v1/orchestrator/jobsbeside", Role.ADMIN),
        ("POST", "/api/v1/never/thought/of", Role.ADMIN),
        ("POST", SYNC, Other.NODE),
        ("POST", JOIN, Other.JOIN),
    ],
)
def test_what_a_route_wants(method: str, path: str, need: Role | Other) -> None:
    assert needed(method, path) is need


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "Missing Authorization header"),
        ("Digest x", "unsupported authentication method"),
        ("Bearer", "invalid authorization header format, expected 'Bearer TOKEN'"),
        ("Bearer nonsense", "invalid API key"),
        ("Basic %%%", "invalid basic auth credentials format"),
        ("Basic " + base64.b64encode(b"nocolon").decode(), "invalid basic auth credentials format"),
        ("Basic " + base64.b64encode(b"a:b").decode(), "invalid basic auth credentials"),
    ],
)
def test_a_credential_that_is_none_is_refused_in_bacalhaus_words(tmp_path: Path, header: str, reason: str) -> None:
    with pytest.raises(UnauthorizedError) as refused:
        judge(keys(tmp_path), header, "GET", JOBS, "", 0)
    assert refused.value.details == {"reason": reason}


def test_a_join_token_that_is_none_is_refused_as_one(tmp_path: Path) -> None:
    with pytest.raises(UnauthorizedError) as refused:
        judge(keys(tmp_path), bearer("shoal_j_typo"), "POST", JOIN, "n1", 0)
    assert refused.value.reason == "no join token of this orchestrator: mistyped, revoked, or of another one"


def test_a_lesser_role_is_told_which_one_may(tmp_path: Path) -> None:
    secret, _ = create(tmp_path, "eve", Role.VIEWER, (), 0)
    assert judge(keys(tmp_path), bearer(secret), "GET", JOBS, "", 0).role is Role.VIEWER
    with pytest.raises(ForbiddenError) as refused:
        judge(keys(tmp_path), bearer(secret), "PUT", JOBS, "", 0)
    assert refused.value.details == {
        "reason": "user 'eve' does not have the required capability 'write:job': it has role viewer, needed: operator",
        "role": "operator",
    }


def test_basic_takes_the_name_in_any_case_and_the_token(tmp_path: Path) -> None:
    secret, _ = create(tmp_path, "Ann", Role.ADMIN, (), 0)
    create(tmp_path, "bob", Role.ADMIN, (), 0)
    good = base64.b64encode(f"ann:{secret}".encode()).decode()
    assert judge(keys(tmp_path), f"Basic {good}", "PUT", NODES, "", 0).name == "Ann"
    other = base64.b64encode(f"bob:{secret}".encode()).decode()
    with pytest.raises(UnauthorizedError, match="Unauthorized"):
        judge(keys(tmp_path), f"Basic {other}", "PUT", NODES, "", 0)


def test_an_expired_token_says_since_when(tmp_path: Path) -> None:
    secret, made = create(tmp_path, "old", Role.ADMIN, (), 60)
    judge(keys(tmp_path), bearer(secret), "GET", JOBS, "", made.expires - 1)
    with pytest.raises(UnauthorizedError) as refused:
        judge(keys(tmp_path), bearer(secret), "GET", JOBS, "", made.expires + 5)
    assert refused.value.reason == "invalid API key: token 'old' expired 5 s ago"


def test_a_nodes_token_is_good_for_its_name_and_nothing_else(tmp_path: Path) -> None:
    ticket, made = create_join(tmp_path, 60, 1)
    hashed = keys(tmp_path).book.joins[0].hash
    own = "shoal_n_secret"
    join(tmp_path, hashed, "n1", hash_of(own))
    now = made.created
    assert judge(keys(tmp_path), bearer(own), "POST", SYNC, "n1", now).role is None
    for path, node, method in ((SYNC, "n2", "POST"), (JOIN, "n1", "POST"), (JOBS, "", "GET")):
        with pytest.raises(ForbiddenError):
            judge(keys(tmp_path), bearer(own), method, path, node, now)
    judge(keys(tmp_path), bearer(ticket), "POST", JOIN, "n7", now)
    with pytest.raises(UnauthorizedError, match="Unauthorized"):
        judge(keys(tmp_path), bearer(ticket), "POST", SYNC, "n1", now)
    with pytest.raises(ForbiddenError):
        judge(keys(tmp_path), bearer(ticket), "GET", JOBS, "", now)
    assert revoke_node(tmp_path, "n1")
    assert not revoke_node(tmp_path, "n1")
    with pytest.raises(UnauthorizedError):
        judge(keys(tmp_path), bearer(own), "POST", SYNC, "n1", now)


def test_no_user_may_speak_for_a_node(tmp_path: Path) -> None:
    secret, _ = create(tmp_path, "root", Role.ADMIN, (), 0)
    for path in (SYNC, JOIN):
        with pytest.raises(ForbiddenError):
            judge(keys(tmp_path), bearer(secret), "POST", path, "n1", 0)


def test_a_join_token_is_used_up_but_the_same_node_may_say_it_again(tmp_path: Path) -> None:
    create_join(tmp_path, 60, 1)
    ticket = keys(tmp_path).book.joins[0].hash
    join(tmp_path, ticket, "n1", "aa")
    join(tmp_path, ticket, "n1", "aa")
    with pytest.raises(UnauthorizedError) as refused:
        join(tmp_path, ticket, "n2", "bb")
    assert "is used up" in refused.value.reason
    assert [one.name for one in keys(tmp_path).book.nodes] == ["n1"]


def test_a_name_that_has_a_token_is_nobody_elses(tmp_path: Path) -> None:
    create_join(tmp_path, 60, -1)
    ticket = keys(tmp_path).book.joins[0].hash
    join(tmp_path, ticket, "n1", "aa")
    with pytest.raises(NodeNameTakenError, match="n1 has joined already"):
        join(tmp_path, ticket, "n1", "bb")
    join(tmp_path, ticket, "n2", "bb")


def test_the_file_holds_no_token_and_is_its_owners_only(tmp_path: Path) -> None:
    secret, _ = create(tmp_path / "new", "root", Role.ADMIN, (), 0)
    ticket, _ = create_join(tmp_path / "new", 60, 1)
    path = tmp_path / "new" / "tokens.json"
    text = path.read_text()
    assert secret not in text
    assert ticket not in text
    assert len(secret) >= 32 + len("shoal_u_")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_tokens_stay_wanted_when_all_are_revoked_or_the_file_is_gone(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    assert not tokens.is_required()
    create_join(tmp_path, 60, 1)
    assert not tokens.is_required(), "a join token alone closes nobody out"
    secret, _ = create(tmp_path, "root", Role.ADMIN, (), 0)
    assert tokens.is_required()
    revoke(tmp_path, "ROOT")
    assert tokens.is_required()
    with pytest.raises(UnauthorizedError):
        judge(tokens.keys(), bearer(secret), "GET", JOBS, "", 0)
    tokens.path.unlink()
    assert tokens.is_required()


def test_a_spoilt_file_changes_nothing_for_a_running_server(tmp_path: Path) -> None:
    secret, _ = create(tmp_path, "root", Role.ADMIN, (), 0)
    tokens = Tokens(tmp_path)
    assert tokens.is_required()
    tokens.path.write_text("{")
    assert judge(tokens.keys(), bearer(secret), "GET", JOBS, "", 0).name == "root"
    with pytest.raises(TokenError, match="no file of tokens"):
        read(tokens.path)


def test_names_are_unique_until_expired(tmp_path: Path) -> None:
    create(tmp_path, "a", Role.VIEWER, (), 0)
    with pytest.raises(TokenError, match="already"):
        create(tmp_path, "A", Role.VIEWER, (), 0)
    with pytest.raises(TokenError, match="there are: a"):
        revoke(tmp_path, "b")
    with pytest.raises(TokenError, match="name: found"):
        create(tmp_path, "a b", Role.VIEWER, (), 0)
    change(tmp_path, lambda book: (Book(tokens=(_expired(book.tokens[0]),)), None))
    create(tmp_path, "a", Role.VIEWER, (), 0)
    assert len(json.loads((tmp_path / "tokens.json").read_text())["Tokens"]) == 1


def _expired(token: Token) -> Token:
    return msgspec.structs.replace(token, expires=1.0)
