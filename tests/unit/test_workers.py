"""How the terminal UI begins work in the background: asked twice in one moment, the first leaves nothing behind."""

import gc
import warnings
from pathlib import Path

from textual.app import App

from tui.background import begin

TUI = Path(__file__).parents[2] / "tui"


def test_every_worker_is_begun_in_the_one_place_that_hands_over_a_function() -> None:
    texts = {path.relative_to(TUI).as_posix(): path.read_text() for path in TUI.rglob("*.py")}
    assert [name for name, text in texts.items() if "run_worker" in text] == ["background.py"]
    assert [name for name, text in texts.items() if "@work" in text or "import work" in text] == []


async def test_what_is_asked_twice_in_one_moment_is_done_once_and_leaves_no_warning() -> None:
    done: list[int] = []

    async def note(number: int) -> None:
        done.append(number)

    app: App[None] = App()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with app.run_test():
            begin(app, "notes", note, 1)
            await begin(app, "notes", note, 2).wait()
        gc.collect()
    assert done == [2]
    assert [str(one.message) for one in caught if "never awaited" in str(one.message)] == []
