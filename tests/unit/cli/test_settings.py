import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tui.connect import client_of
from tui.settings import SettingsError, load


@pytest.mark.parametrize(
    ("environ", "flags", "url"),
    [
        ({}, {}, "http://127.0.0.1:1234"),
        ({"BACALHAU_API_HOST": "b", "BACALHAU_API_PORT": "2"}, {}, "http://b:2"),
        ({"BACALHAU_API_HOST": "b", "SHOAL_API_HOST": "s", "SHOAL_API_PORT": "3"}, {}, "http://s:3"),
        ({"SHOAL_API_HOST": "s", "SHOAL_API_PORT": "3"}, {"host": "f", "port": "4"}, "http://f:4"),
        ({}, {"host": "0.0.0.0"}, "http://127.0.0.1:1234"),
        ({}, {"host": "h:77"}, "http://h:77"),
        ({}, {"host": "::1"}, "http://[::1]:1234"),
        ({}, {"host": "https://h"}, "https://h"),
        ({}, {"host": "https://h:8443/"}, "https://h:8443"),
        ({}, {"host": "http://h", "port": "5"}, "http://h:5"),
        ({"SHOAL_API_HOST": " "}, {}, "http://127.0.0.1:1234"),
    ],
)
def test_where_requests_go(environ: dict[str, str], flags: dict[str, str], url: str) -> None:
    assert load({"HOME": "/nowhere", **environ}, **flags).url == url


@pytest.mark.parametrize(
    ("environ", "flags", "named"),
    [
        ({}, {"port": "x"}, "--api-port"),
        ({}, {"port": "70000"}, "--api-port"),
        ({"SHOAL_API_PORT": "0"}, {}, "SHOAL_API_PORT"),
        ({"BACALHAU_API_HOST": "a/b"}, {}, "BACALHAU_API_HOST"),
        ({}, {"host": "ftp://x"}, "--api-host"),
        ({}, {"host": "http://x/path"}, "--api-host"),
        ({}, {"host": "http://u:p@x"}, "--api-host"),
        ({}, {"host": "http://x:y"}, "--api-host"),
    ],
)
def test_a_setting_without_sense_is_named(environ: dict[str, str], flags: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        load({"HOME": "/nowhere", **environ}, **flags)


def test_a_selected_profile_gives_way_to_an_address_and_a_port_alone_is_one(tmp_path: Path) -> None:
    home = tmp_path / ".shoal"
    home.mkdir()
    (home / "profiles.yaml").write_text("eu: {url: 'http://eu:99', token: t0ken}\n")
    (home / "config.yaml").write_text("Profile: eu\n")
    environ = {"HOME": str(tmp_path)}
    found = load(environ)
    assert (found.url, found.profile, found.token) == ("http://eu:99", "eu", "t0ken")
    for found in (
        load(environ, port="5"),
        load({**environ, "SHOAL_API_PORT": "5"}),
        load({**environ, "BACALHAU_API_PORT": "5"}),
        load(environ, port="5", profile="eu"),
    ):
        assert (found.url, found.profile, found.token) == ("http://127.0.0.1:5", "", "")


def test_a_profile_named_on_the_command_line_goes_before_an_address_of_the_environment(tmp_path: Path) -> None:
    home = tmp_path / ".shoal"
    home.mkdir()
    (home / "profiles.yaml").write_text("eu: {url: 'http://eu:99', token: t0ken, timeout: 7s}\n")
    environ = {"HOME": str(tmp_path), "SHOAL_API_HOST": "s", "SHOAL_API_PORT": "5", "BACALHAU_API_HOST": "b"}
    found = load(environ, profile="eu")
    assert (found.url, found.profile, found.token, found.timeout) == ("http://eu:99", "eu", "t0ken", 7)
    client = client_of(found)
    assert client.http.timeout == httpx.Timeout(7.0, connect=5.0)
    assert load({**environ, "SHOAL_PROFILE": "eu"}).url == "http://s:5"
    assert load(environ, host="h", profile="eu").url == "http://h:5"
    assert load({**environ, "SHOAL_API_KEY": "key"}, profile="eu").token == "key"


def test_shoals_key_wins() -> None:
    assert load({"HOME": "/", "BACALHAU_API_KEY": "b", "SHOAL_API_KEY": "s"}).token == "s"
    assert load({"HOME": "/", "BACALHAU_API_KEY": "b"}).token == "b"


def test_bacalhaus_user_and_password_are_taken_whole_or_not_at_all() -> None:
    user, password, key = "BACALHAU_API_USERNAME", "BACALHAU_API_PASSWORD", "BACALHAU_API_KEY"
    found = load({"HOME": "/", user: "ann", password: "secret"})
    assert (found.user, found.token) == ("ann", "secret")
    found = load({"HOME": "/", user: "ann", "SHOAL_API_KEY": "s"})
    assert (found.user, found.token) == ("", "s")
    for environ, said in (
        ({user: "ann"}, f"{user} provided but not {password}"),
        ({password: "secret"}, f"{password} provided but not {user}"),
        ({user: "ann", password: "secret", key: "k"}, f"can't use both {key} and {user}/{password}"),
    ):
        with pytest.raises(SettingsError, match=said):
            load({"HOME": "/", **environ})


def test_tls_is_spoken_where_it_is_asked_for_and_never_without_a_look_at_the_certificate() -> None:
    tls = "BACALHAU_API_TLS_USETLS"
    assert load({"HOME": "/", tls: "true", "BACALHAU_API_HOST": "b"}).url == "https://b:1234"
    assert load({"HOME": "/", tls: "true", "BACALHAU_API_HOST": "http://b:5"}).url == "http://b:5"
    assert load({"HOME": "/", tls: "0"}).url == "http://127.0.0.1:1234"
    with pytest.raises(SettingsError, match=f"{tls}: found 'maybe', allowed: true, false"):
        load({"HOME": "/", tls: "maybe"})
    with pytest.raises(SettingsError, match="certificates are always checked"):
        load({"HOME": "/", "BACALHAU_API_TLS_INSECURE": "true"})


def test_a_file_may_hold_settings_nested_as_bacalhau_writes_them(tmp_path: Path) -> None:
    file = tmp_path / ".shoal/config.yaml"
    file.parent.mkdir()
    file.write_text("api:\n  host: b\n  Port: 7\n  TLS: {UseTLS: true}\n")
    assert load({"HOME": str(tmp_path)}).url == "https://b:7"
    file.write_text("Compute: {Enabled: true}\n")
    with pytest.raises(
        SettingsError, match=r"'Compute\.Enabled' is no setting of a client, allowed: API\.Host, .*shoal serve"
    ):
        load({"HOME": str(tmp_path)})


def test_an_installation_knows_itself_again(tmp_path: Path) -> None:
    settings = load({"HOME": str(tmp_path)})
    assert settings.instance_id() == load({"HOME": str(tmp_path)}).instance_id() != ""
    assert load({"HOME": "/proc/none"}).instance_id() == ""


@pytest.mark.parametrize("redirect", ["<&- >&- 2>&-", ">/dev/full", ">&-"])
def test_closed_or_full_streams_are_no_traceback(redirect: str) -> None:
    command = f"{sys.executable} -m tui --help {redirect}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=os.environ, check=False)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if "full" in redirect:
        assert done.returncode == 1
        assert "no space left" in done.stderr
