"""File, environment, flags, in this order; nothing unknown is passed over."""

from pathlib import Path

import pytest

from node.capacity import Overrides
from node.config import Config, read_config
from orchestrator.contract.settings import ConfigError


def test_without_a_word_the_defaults_hold() -> None:
    assert read_config([], {}) == Config()
    assert Config().directory == Path.home() / ".shoal/node"
    assert Config(name="n7").directory == Path.home() / ".shoal/node-n7"


def test_flags_win_over_environment_over_file(tmp_path: Path) -> None:
    file = tmp_path / "node.yaml"
    file.write_text("Name: from-file\nCPU: 1\nmemory: 1gb\nData-Dir: /file\nlabels: {a: b}\nAllowPaths: [/d/**]\n")
    environment = {"SHOAL_NODE_NAME": "from-env", "SHOAL_NODE_CPU": "2", "SHOAL_NODE_CONFIG": str(file), "HOME": "/h"}
    config = read_config(["--name", "from-flag"], environment)
    assert config == Config(
        name="from-flag",
        data_dir=Path("/file"),
        capacity=Overrides(cpu=2.0, memory=10**9),
        labels={"a": "b"},
        allow_paths=("/d/**",),
    )


def test_lists_come_as_repeated_flags_or_with_commas() -> None:
    flags = ["--label", "a=1", "--label", "b=2", "--allow-path", "/x/{a,b}/*:rw", "--allow-path", "/y"]
    config = read_config([*flags, "--engines", "docker,process"], {"SHOAL_NODE_ALLOW_ENV": "A.*,B"})
    assert config.labels == {"a": "1", "b": "2"}
    assert config.allow_paths == ("/x/{a,b}/*:rw", "/y")
    assert config.engines == ("docker", "process")
    assert config.allow_env == ("A.*", "B")


@pytest.mark.parametrize(
    ("flags", "environment", "message"),
    [
        (["--nmae", "x"], {}, "unknown flag --nmae; did you mean --name?"),
        ([], {"SHOAL_NODE_NAEM": "x"}, "unknown setting SHOAL_NODE_NAEM; did you mean SHOAL_NODE_NAME?"),
        (["--cpu", "many"], {}, "cpu: invalid CPU value: many"),
        (["--memory", "4XB"], {}, "memory: invalid size: 4XB"),
        (["--engines", "dokcer"], {}, "engines: found 'dokcer'; did you mean docker?"),
        (["--label", "a"], {}, "label: found 'a', allowed: KEY=VALUE"),
        (["--orchestrator", "localhost:1234"], {}, "orchestrator: found 'localhost:1234', allowed: a URL like"),
        (["--allow-path", "data/**"], {}, "allowed path 'data/**': write an absolute path"),
        (["--allow-path", "/data/[ab"], {}, "`[` without `]`"),
        (["--allow-path", "/data/[z-a]"], {}, "bad character range z-a"),
        (["--allow-env", "("], {}, "allow_env: '(' is no regular expression"),
        (["--name", "a/b"], {}, "name: found 'a/b', allowed"),
        (["--config", "/nowhere.yaml"], {}, "/nowhere.yaml: No such file or directory"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_does(
    flags: list[str], environment: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        read_config(flags, environment)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nmae: x", "unknown setting nmae; did you mean name?"),
        ("- a", "found list, allowed: settings like `name: n1`"),
        ("a: [", "no YAML"),
        ("config: other.yaml", "unknown setting config"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "node.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_config(["--config", str(file)], {})
    assert message in str(refused.value)


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "node.yaml"
    file.write_text("# nothing yet\n")
    assert read_config(["--config", str(file)], {}) == Config()
