"""While a dialog is open, the last line has its keys and no others, and each is a button."""

from tests.helpers.server import Agent, Api
from tests.helpers.terminal import app_for, screen, shows


def footer(text: str) -> str:
    return text.splitlines()[-1].rstrip()


async def test_the_footer_has_the_keys_of_the_dialog_and_no_others(api: Api) -> None:
    await api.submit("etl", count=2)
    app = app_for(api.url)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "etl")
        page = footer(screen(app))
        assert page.startswith(" enter open  ")
        await pilot.press("x")
        await shows(pilot, "Cancel ]")
        await shows(pilot, "esc cancel")
        assert footer(screen(app)) == " y yes  esc cancel  tab next  enter press"
        await pilot.click(offset=(9, 23))
        await shows(pilot, page.strip())
        assert footer(screen(app)) == page


async def test_what_is_typed_in_a_dialog_is_no_key_of_its_footer(api: Api) -> None:
    await Agent(api).sync()
    app = app_for(api.url)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("g", "n")
        await shows(pilot, "n1")
        await pilot.press("D")
        await shows(pilot, "y yes  esc cancel  tab next  enter press")
        await pilot.press("shift+tab")
        await shows(pilot, "\n esc cancel  tab next")


async def test_the_menu_of_places_and_texts_say_what_closes_them(api: Api) -> None:
    await api.submit("etl", count=2)
    app = app_for(api.url)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "etl")
        await pilot.press("g")
        await shows(pilot, "go to  ")
        await shows(pilot, "\n esc close")
        assert footer(screen(app)) == " esc close"
        await pilot.press("escape")
        await shows(pilot, "enter open")
        await pilot.press("question_mark")
        await shows(pilot, "esc close  y copy")
        assert footer(screen(app)) == " esc close  y copy"
