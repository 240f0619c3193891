"""`shoal token` and `shoal node token`: no orchestrator is asked."""

import json
from pathlib import Path

import pytest

from orchestrator.auth import Role, hash_of
from orchestrator.tokens import FILE, join, read
from tests.helpers.cli import Shoal
from tui.settings import SettingsError, load


def test_a_token_is_shown_once_and_kept_as_its_hash(shoal: Shoal, tmp_path: Path) -> None:
    made = shoal("token", "create", "ci", "--role", "operator", "--namespace", "a", "--namespace=b", "--data-dir", "d")
    assert made.code == 0
    assert "shown once" in made.err
    (token,) = read(tmp_path / "d" / FILE).tokens
    assert (token.name, token.role, token.namespaces, token.expires) == ("ci", Role.OPERATOR, ("a", "b"), 0)
    assert token.hash == hash_of(made.out.strip())
    listed = shoal("token", "list", "--data-dir", "d", "--json")
    assert made.out.strip() not in listed.out
    (item,) = json.loads(listed.out)["Items"]
    assert {key: item[key] for key in ("Name", "Kind", "Role", "Namespaces", "Expires")} == {
        "Name": "ci",
        "Kind": "user",
        "Role": "operator",
        "Namespaces": ["a", "b"],
        "Expires": "",
    }
    assert shoal("token", "revoke", "ci", "--data-dir", "d").code == 0
    assert read(tmp_path / "d" / FILE).tokens == ()


def test_as_json_it_is_one_object(shoal: Shoal) -> None:
    made = json.loads(
        shoal("--json", "token", "create", "ci", "--role", "viewer", "--ttl", "90m", "--data-dir", "d").out
    )
    assert set(made) == {"Name", "Role", "Namespaces", "Expires", "Token"}
    assert made["Expires"].endswith("Z")
    made = json.loads(shoal("node", "token", "--uses", "2", "--json", "--data-dir", "d").out)
    assert set(made) == {"Name", "Uses", "Expires", "Token"}


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("token", "create", "ci"), "--role"),
        (("token", "create", "ci", "--role", "boss"), "admin"),
        (("token", "create", "c i", "--role", "viewer"), "name: found 'c i', allowed: at most 100 letters"),
        (
            ("token", "create", "ci", "--role", "admin", "--namespace", "a"),
            "an admin does everything, in all namespaces",
        ),
        (("token", "create", "ci", "--role", "viewer", "--ttl", "soon"), "--ttl"),
        (("token", "create", "ci", "--role", "viewer", "--ttl", "0"), "--ttl: found '0', allowed: 1s to 10 years"),
        (("token", "revoke", "nobody"), "there is no token nobody; there are: none"),
        (("node", "token", "--uses", "0"), "--uses"),
        (("node", "token", "--revoke", "n1"), "node n1 has no token"),
    ],
)
def test_what_makes_no_sense_is_exit_code_2(shoal: Shoal, argv: tuple[str, ...], said: str) -> None:
    done = shoal(*argv, "--data-dir", "d")
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_nodes_token_is_revoked_by_its_name(shoal: Shoal, tmp_path: Path) -> None:
    ticket = shoal("node", "token", "--data-dir", "d").out.strip()
    join(tmp_path / "d", hash_of(ticket), "n1", "aa")
    assert shoal("node", "token", "--revoke", "n1", "--data-dir", "d").err == "the token of node n1 is revoked\n"
    assert read(tmp_path / "d" / FILE).nodes == ()


def test_a_file_that_is_none_of_tokens_is_named(shoal: Shoal, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("[]")
    done = shoal("token", "list", "--data-dir", ".")
    assert done.code == 2
    assert f"{FILE}: this is no file of tokens" in done.err


def test_an_authority_comes_from_flag_or_environment_and_has_to_be_one(tmp_path: Path) -> None:
    pem = tmp_path / "ca.pem"
    pem.write_text("-----BEGIN CERTIFICATE-----\n")
    home = {"HOME": str(tmp_path)}
    assert load(home).ca_file is None
    assert load(home, ca_file=str(pem)).ca_file == pem
    assert load(home | {"SHOAL_API_CA_FILE": str(pem)}).ca_file == pem
    with pytest.raises(SettingsError, match="--ca-file: /nope: no such file"):
        load(home, ca_file="/nope")
    pem.write_text("no certificate")
    with pytest.raises(SettingsError, match="no PEM certificate"):
        load(home | {"SHOAL_API_CA_FILE": str(pem)})
