"""Switching between orchestrators while the UI stays open."""

from pathlib import Path

import pytest

from tests.helpers.server import Api, orchestrator
from tests.helpers.terminal import app_for, screen, shows, wait_for
from tui import profiles
from tui.settings import SettingsError


async def test_a_profile_is_added_and_switched_to_and_nothing_of_the_other_stays(tmp_path: Path) -> None:
    async with orchestrator(tmp_path / "a") as first, orchestrator(tmp_path / "b") as second:
        for url, name in ((first, "alpha"), (second, "beta")):
            api = Api(url)
            await api.submit(name)
            await api.http.aclose()
        app = app_for(first, home=tmp_path / "home")
        async with app.run_test(size=(120, 30), notifications=True) as pilot:
            await shows(pilot, "alpha")
            await pilot.press("g", "p")
            await shows(pilot, "local")
            await pilot.press("n")
            await pilot.press(*f"other {second}", "enter")
            await shows(pilot, second)
            await pilot.press("end", "enter")
            await shows(pilot, "beta")
            assert "alpha" not in screen(app)
            assert screen(app).startswith(" other ▸ jobs")
            await pilot.press("colon", *"profile local", "enter")
            await wait_for(pilot, lambda: "no 'local'" in screen(app), "only what the file has can be gone back to")


async def test_the_theme_of_a_profile_goes_with_it(tmp_path: Path) -> None:
    (tmp_path / "profiles.yaml").write_text(
        "one: {url: 'http://127.0.0.1:9'}\nother: {url: 'http://127.0.0.1:9', theme: light}\n"
    )
    app = app_for("http://127.0.0.1:9", home=tmp_path)
    async with app.run_test(size=(120, 30)) as pilot:
        for name, theme in (("other", "light"), ("one", "dark"), ("other", "light")):
            await pilot.press("colon", *f"profile {name}", "enter")
            await shows(pilot, f" {name} ▸ jobs")
            assert app.theme == theme


def test_what_of_the_file_cannot_be_used_is_named_and_the_rest_holds(tmp_path: Path) -> None:
    (tmp_path / "profiles.yaml").write_text(
        "good: {url: 'http://a:1', protected: true}\nbad: {url: 7}\nodd: {url: 'http://b', colour: red}\n"
        "half: {url: 'http://c', read-only: sometimes}\n"
    )
    found, problems = profiles.read(tmp_path)
    assert [(one.name, one.url, one.protected) for one in found] == [("good", "http://a:1", True)]
    assert len(problems) == 3
    assert "allowed: true or false" in problems[2]


@pytest.mark.parametrize(("name", "url"), [("a b", "http://x"), ("x", "http://"), ("x", "ftp://y/z")])
def test_a_profile_that_makes_no_sense_is_not_written(tmp_path: Path, name: str, url: str) -> None:
    with pytest.raises((ValueError, SettingsError)):
        profiles.add(tmp_path, name, url)
    assert not (tmp_path / "profiles.yaml").exists()
