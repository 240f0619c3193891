"""The node's own token, and how it is told what to join with."""

import hashlib
import json
import stat
from pathlib import Path

import pytest

from node.config import read_config
from node.credentials import Credentials
from orchestrator.contract.settings import ConfigError


def test_a_token_is_made_once_kept_and_shown_only_when_joined(tmp_path: Path) -> None:
    first = Credentials(tmp_path, "ticket")
    assert first.token == ""
    hashed = first.to_join()
    path = tmp_path / "node-token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Credentials(tmp_path, "ticket")
    assert (again.token, again.to_join()) == ("", hashed), "the answer was lost: it says the same again"
    again.joined()
    assert again.join_token == ""
    kept = Credentials(tmp_path)
    assert hashlib.sha256(kept.token.encode()).hexdigest() == hashed
    assert kept.to_join() != hashed, "who joins again does so with another token"


def test_a_spoilt_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "node-token").write_text(json.dumps({"Token": 1}))
    with pytest.raises(ValueError, match="remove it, and join with a join token"):
        Credentials(tmp_path)


def test_a_join_token_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "ticket"
    file.write_text("shoal_j_x\n")
    assert read_config(["--join-token-file", str(file)], {}).join_token == "shoal_j_x"
    assert read_config([], {"SHOAL_NODE_JOIN_TOKEN": "shoal_j_y"}).join_token == "shoal_j_y"
    with pytest.raises(ConfigError, match="found both"):
        read_config(["--join-token-file", str(file)], {"SHOAL_NODE_JOIN_TOKEN": "shoal_j_y"})
    with pytest.raises(ConfigError, match="join_token_file: /nope: No such file"):
        read_config(["--join-token-file", "/nope"], {})
    file.write_text("\n")
    with pytest.raises(ConfigError, match="it is empty"):
        read_config(["--join-token-file", str(file)], {})
