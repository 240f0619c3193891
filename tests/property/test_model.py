"""What is kept change by change equals what is counted from the start, at every scale, through every lens."""

from array import array

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from orchestrator.contract.partitions import STOPPING
from tui.feed import JobView
from tui.model.ansi import shown
from tui.model.job import JobModel, Lens
from tui.model.levels import SCALES, Level, fitting
from tui.model.logtext import LogText, pick, search, wrapped

STATES = st.integers(0, 8) | st.integers(3, 5).map(lambda state: state | STOPPING)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[int], list[tuple[int, int, int, int]]]:
    count = draw(st.integers(1, 1300))
    seed = draw(st.randoms(use_true_random=False))
    states = [seed.choice((0, 1, 1, 2, 3, 4, 5, 6, 6, 6, 7, 8)) for _ in range(count)]
    change = st.tuples(st.integers(0, count - 1), STATES, st.integers(0, 255), st.sampled_from([0, 1, 2, 65535]))
    return states, draw(st.lists(change, max_size=60))


@settings(max_examples=60, deadline=None)
@given(
    histories(),
    st.sampled_from(SCALES),
    st.sampled_from(Lens),
    st.sampled_from(["", "failed", "attempt>1", "!node:n1 0-500"]),
)
def test_levels_kept_incrementally_equal_a_recount(
    history: tuple[list[int], list[tuple[int, int, int, int]]], scale: int, lens: Lens, selection: str
) -> None:
    states, changes = history
    view = JobView()
    view.count, view.states, view.attempts = len(states), bytearray(states), bytearray(len(states))
    view.nodes, view.node_ids = array("H", [65535] * len(states)), ["n1", "n2", "n3"]
    model = JobModel(view)
    model.reload()
    model.show(scale)
    model.look_through(lens)
    model.select(selection)
    model.settle()
    seen = bytearray(model.level.codes)
    for index, state, attempts, node in changes:
        view.states[index], view.attempts[index], view.nodes[index] = state, attempts, node
        model.update([index])
        if index % 3 == 0:
            for cell in model.settle():
                seen[cell] = model.level.codes[cell]
    for cell in model.settle():
        seen[cell] = model.level.codes[cell]

    if scale > 1:
        assert model.level.counts == model.level.recount()
    fresh = Level(bytearray(view.states), view.attempts, scale, model)
    assert model.level.codes == fresh.codes
    assert seen == fresh.codes, "a cell changed that was not told to be repainted"


@given(st.integers(0, 1_000_000), st.integers(1, 300), st.integers(1, 100))
def test_the_fitting_scale_is_the_finest_with_which_the_job_fits(count: int, columns: int, rows: int) -> None:
    scale = fitting(count, columns, rows)
    finer = [one for one in SCALES if one < scale]
    assert scale == SCALES[-1] or scale * columns * rows >= count
    assert all(one * columns * rows < count for one in finer)


LINES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=12).map(str.encode), max_size=40
)


@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.binary(max_size=30), st.floats(0, 100)), max_size=60))
def test_a_log_holds_the_bytes_of_each_stream_in_order(pieces: list[tuple[int, bytes, float]]) -> None:
    text = LogText()
    for stream, content, time in pieces:
        text.append(stream, content, time)
    text.finish()
    for stream in (0, 1):
        sent = b"".join(content for number, content, _ in pieces if number == stream)
        lines = [line.content for line in map(text.line, range(text.count)) if line.stream == stream]
        assert b"".join(line + b"\n" for line in lines) in (sent, sent + b"\n")


@given(LINES, st.sampled_from(["a", "A", "é", "[0-9]", "x.*y", "^a", "b$"]))
def test_a_search_finds_the_lines_that_a_plain_loop_finds(lines: list[bytes], needle: str) -> None:
    import re

    text = LogText()
    for line in lines:
        text.append(0, line + b"\n")
    flags = re.MULTILINE | (re.IGNORECASE if needle == needle.lower() else 0)
    expected = [at for at, line in enumerate(lines) if re.search(needle.encode(), line, flags)]
    assert list(search(text.blocks, needle)) == expected
    assert list(pick(text.blocks, grep=needle)) == expected


@given(LINES, st.integers(1, 20))
def test_wrapping_counts_the_rows_of_every_line(lines: list[bytes], width: int) -> None:
    text = LogText()
    for line in lines:
        text.append(0, line + b"\n")
    rows, total = [], 0
    for line in lines:
        cells = sum(cell_len(piece) for piece, _ in shown(line))
        total += max(1, -(-cells // width))
        rows.append(total)
    assert list(wrapped(text.blocks, width)) == rows
