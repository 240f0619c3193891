"""The flags of `shoal tui` mean what they mean everywhere else."""

import socket
from pathlib import Path

import pytest

from tui.cli.diagnostics import UsageError
from tui.launch import _flags, _read, launch
from tui.options import Options
from tui.web import command_of, serve

PEM = "-----BEGIN CERTIFICATE-----\n"


def read(home: Path, *argv: str, **environ: str) -> Options:
    flags = _flags(argv)
    assert flags is not None
    return _read(flags, {"HOME": str(home), **environ})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a profile and a certificate."""
    (tmp_path / ".shoal").mkdir()
    profiles = "prod:\n  url: https://shoal.example.org\n  token: secret\n  read-only: true\n  protected: true\n"
    (tmp_path / ".shoal" / "profiles.yaml").write_text(profiles)
    (tmp_path / "ca.pem").write_text(PEM)
    return tmp_path


def test_a_ca_file_is_taken_from_the_flag_or_the_environment_and_handed_to_the_browsers_process(home: Path) -> None:
    ca = str(home / "ca.pem")
    options = read(home, "--api-host", "https://x", "--ca-file", ca)
    assert options.settings.ca_file == home / "ca.pem"
    assert f"--ca-file {ca}" in command_of(options, may_write=False)
    assert read(home, "--api-host", "https://x", SHOAL_API_CA_FILE=ca).settings.ca_file == home / "ca.pem"


def test_a_ca_file_that_is_none_is_refused(home: Path) -> None:
    with pytest.raises(UsageError, match=r"--ca-file: .*none\.pem: no such file"):
        read(home, "--ca-file", str(home / "none.pem"))
    (home / "ca.pem").write_text("x")
    with pytest.raises(UsageError, match="no PEM certificate is in it"):
        read(home, "--ca-file", str(home / "ca.pem"))


def test_a_profile_is_used_whole_however_it_was_chosen(home: Path) -> None:
    for options in (read(home, "--profile", "prod"), read(home, SHOAL_PROFILE="prod")):
        assert options.settings.url == "https://shoal.example.org"
        assert options.settings.token == "secret"
        assert (options.profile, options.source) == ("prod", "profile prod")
        assert options.read_only
        assert options.is_protected
    with pytest.raises(UsageError, match="found 'prud', allowed: prod"):
        read(home, "--profile", "prud")
    named = read(home, "--api-host", "http://other:1", SHOAL_PROFILE="prod")
    assert (named.settings.url, named.profile, named.is_protected) == ("http://other:1", "local", False)


def test_a_recording_needs_a_new_file_and_is_no_replay(home: Path) -> None:
    assert read(home, "--record", str(home / "new.rec")).record == home / "new.rec"
    with pytest.raises(UsageError, match=r"ca\.pem is there already"):
        read(home, "--record", str(home / "ca.pem"))
    with pytest.raises(UsageError, match="use one of them"):
        read(home, "--record", "a", "--replay", "b")


def test_a_profile_has_a_theme_from_the_start_unless_another_is_asked_for(home: Path) -> None:
    (home / ".shoal" / "profiles.yaml").write_text("prod:\n  url: http://x:1\n  theme: light\n")
    assert read(home, "--profile", "prod").theme == "light"
    assert read(home, "--profile", "prod", "--theme", "high-contrast").theme == "high-contrast"
    assert read(home).theme == "dark"
    (home / ".shoal" / "profiles.yaml").write_text("prod:\n  url: http://x:1\n  theme: sepia\n")
    with pytest.raises(UsageError, match="prod: theme: found 'sepia', allowed: dark, light"):
        read(home, "--profile", "prod")


def test_a_browser_gets_the_profile_and_what_else_was_asked_for(home: Path) -> None:
    """A profile may be protected or read-only: by its address alone it would be neither."""
    command = command_of(read(home, "--profile", "prod"), may_write=True)
    assert "--profile prod" in command
    assert "--api-host" not in command
    assert "--read-only" in command
    asked = ("--read-only", "--ascii", "--fps", "4", "--keymap", "keys.yaml", "--replay", "/a.rec")
    command = command_of(read(home, "--api-port", "17", *asked), may_write=True)
    expected = ("--api-host http://127.0.0.1:17 ", "--read-only", "--ascii", "--fps 4.0", "--replay /a.rec")
    assert [words for words in expected if words not in command] == []
    assert f"--keymap {Path.cwd() / 'keys.yaml'}" in command


def test_no_browser_records(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert launch(["--web", "--record", str(home / "new.rec")], {"HOME": str(home)}) == 2
    assert "--record and --web together" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told_before_any_address(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert serve(read(home), port=port, may_write=False) == 1
    assert capsys.readouterr().err == f"Error: port {port} of 127.0.0.1 cannot be used: Address already in use\n"
