"""The text of a log: every line is found again however it arrived; search, choice and wrapping against the simplest way."""

import random
import re

import pytest
from rich.cells import cell_len

from tui.model.ansi import shown
from tui.model.logtext import ERR, OUT, SMALL, LogText, pick, search, wrapped

WORDS = (
    b"INFO ok",
    b"",
    b"Error: bad",
    "日本語 wide".encode(),
    b"\x1b[31mred\x1b[0m alert",
    b"x" * 300,
    b"a\tb",
    b"killed",
)


def grown(seed: int, pieces: int = 40) -> tuple[LogText, list[tuple[int, bytes]]]:
    """A log of both streams that came in odd pieces, and its lines as they became whole."""
    chance = random.Random(seed)
    text, lines = LogText(), []
    rest = {OUT: b"", ERR: b""}
    for number in range(pieces):
        stream = chance.choice((OUT, ERR))
        content = b"\n".join(chance.choice(WORDS) for _ in range(chance.randrange(1, 30)))
        content = content * (SMALL // 2000 if number % 9 == 0 else 1)
        whole = (rest[stream] + content).split(b"\n")
        rest[stream] = whole.pop()
        lines += [(stream, line) for line in whole]
        assert text.append(stream, content, float(number)) == len(whole)
    return text, lines


@pytest.mark.parametrize("seed", range(4))
def test_every_line_is_found_again_however_it_arrived(seed: int) -> None:
    text, lines = grown(seed)
    assert text.count == len(lines)
    assert len(text.blocks) > 1
    for number in {0, len(lines) - 1, *random.Random(seed).sample(range(len(lines)), 300)}:
        line = text.line(number)
        assert (line.stream, line.content) == lines[number]


def test_what_has_no_newline_at_the_end_of_a_log_is_a_line_too() -> None:
    text = LogText()
    assert text.append(OUT, b"one\ntwo") == 1
    assert text.finish() == 1
    assert [text.line(number).content for number in range(text.count)] == [b"one", b"two"]


@pytest.mark.parametrize("wanted", ["error", "Error", "err.r|killed", "日本", "nowhere"])
def test_a_search_finds_the_lines_that_the_simplest_search_finds(wanted: str) -> None:
    text, lines = grown(7)
    flags = re.IGNORECASE if wanted == wanted.lower() else 0
    expected = [at for at, (_, line) in enumerate(lines) if re.search(wanted.encode(), line, flags)]
    assert list(search(text.blocks, wanted)) == expected


def test_the_last_trouble_is_the_last_line_with_a_word_of_trouble() -> None:
    text, lines = grown(3)
    text.append(OUT, b"\n" + b"fine\n" * 200_000, 1.0)
    troubles = [at for at, (_, line) in enumerate(lines) if b"error" in line.lower() or b"killed" in line]
    assert text.last_trouble() == troubles[-1]
    assert LogText().last_trouble() is None


def test_only_lines_of_a_stream_that_contain_a_text_are_picked() -> None:
    text, lines = grown(5)
    expected = [at for at, (stream, line) in enumerate(lines) if stream == ERR and b"INFO" in line]
    assert list(pick(text.blocks, grep="INFO", streams=frozenset({ERR}))) == expected


@pytest.mark.parametrize("width", [7, 80, 299, 300])
def test_lines_wrap_by_the_cells_that_they_take_on_the_screen(width: int) -> None:
    text, lines = grown(2)
    total, expected = 0, []
    for _, line in lines:
        cells = sum(cell_len(piece) for piece, _ in shown(line))
        total += max(1, -(-cells // width))
        expected.append(total)
    assert list(wrapped(text.blocks, width)) == expected
