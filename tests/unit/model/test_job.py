"""One job as its screens show it: cursor targets, filter, marks, lenses."""

from array import array

import pytest

from orchestrator.contract.execution import Cause
from orchestrator.contract.partitions import FailureGroup, Row
from orchestrator.contract.partitions import PartitionState as S
from tui.feed import JobView
from tui.model.cells import ATTEMPT_BASE, DIM, DURATION_BASE, LETTER_BASE, LOOKS, MARK
from tui.model.job import JobModel, Lens
from tui.screens.job_source import spans


def view_of(states: list[int], attempts: list[int] | None = None, nodes: list[int] | None = None) -> JobView:
    view = JobView()
    view.count = len(states)
    view.states = bytearray(states)
    view.attempts = bytearray(attempts or [1 if state > S.WAITING else 0 for state in states])
    view.nodes = array("H", nodes or [65535] * len(states))
    view.node_ids = ["n1", "n2"]
    return view


def model_of(states: list[int], scale: int = 1, **rest: list[int]) -> JobModel:
    model = JobModel(view_of(states, **rest))
    model.show(scale)
    model.reload()
    model.settle()
    return model


def picture(model: JobModel) -> str:
    return "".join(LOOKS[code & 63].glyph for code in model.level.codes)


def test_the_next_failed_one_goes_round_the_end_and_without_any_the_retrying_one_is_next() -> None:
    model = model_of([S.FAILED, S.WAITING, S.RETRYING, S.FAILED, S.COMPLETED])
    assert [model.next_trouble(at, 1) for at in (-1, 0, 3, 4)] == [0, 3, 0, 0]
    assert [model.next_trouble(at, -1) for at in (0, 3, 4)] == [3, 0, 3]
    assert model_of([S.WAITING, S.RETRYING]).next_trouble(0, 1) == 1
    assert model_of([S.COMPLETED]).next_trouble(0, 1) is None


def test_unfinished_ones_are_walked_in_both_directions() -> None:
    model = model_of([S.COMPLETED, S.RUNNING, S.FAILED, S.WAITING, S.RUNNING | 128])
    assert [model.next_unfinished(at, 1) for at in (0, 1, 3, 4)] == [1, 3, 4, 1]
    assert [model.next_unfinished(at, -1) for at in (4, 1)] == [3, 4]
    assert model_of([S.COMPLETED]).next_unfinished(0, 1) is None


def test_the_worst_of_a_cell_is_the_first_of_the_worst_and_of_matches_where_there_are_any() -> None:
    model = model_of([S.COMPLETED, S.FAILED, S.FAILED, S.RUNNING, S.WAITING], scale=5)
    assert model.worst(0) == 1
    model.select("2-4")
    assert model.worst(0) == 2


def test_a_filter_dims_what_it_does_not_take_and_follows_changes() -> None:
    model = model_of([S.FAILED, S.WAITING, S.COMPLETED])
    model.select("failed")
    model.settle()
    assert [bool(code & DIM) for code in model.level.codes] == [False, True, True]
    model.view.states[1] = S.FAILED
    model.update([1])
    assert 1 in model.settle()
    assert [bool(code & DIM) for code in model.level.codes] == [False, False, True]
    assert model.matches() == [0, 1]
    model.select("")
    assert model.mask is None


def test_what_only_the_server_knows_is_taken_from_its_answer_unless_the_filter_has_changed() -> None:
    model = model_of([S.FAILED, S.FAILED])
    model.select("cause:oom")
    assert model.matches() == []
    model.answer("cause:exit", [0])
    assert model.matches() == []
    model.answer("cause:oom", [1])
    assert model.matches() == [1]


def test_a_bad_filter_changes_nothing() -> None:
    model = model_of([S.FAILED])
    model.select("failed")
    with pytest.raises(ValueError, match="did you mean failed"):
        model.select("faild")
    assert model.filter_text == "failed"


def test_marking_what_is_marked_unmarks_it() -> None:
    model = model_of([S.WAITING] * 6, scale=2)
    model.mark(range(2, 4))
    assert [bool(code & MARK) for code in model.level.codes] == [False, True, False]
    model.mark(range(4))
    assert model.marks == {0, 1, 2, 3}
    model.mark(range(4))
    assert model.marks == set()
    assert not any(code & MARK for code in model.level.codes)


def test_lenses_colour_the_same_cells_by_something_else() -> None:
    model = model_of([S.COMPLETED, S.FAILED, S.WAITING], attempts=[1, 12, 0], nodes=[0, 1, 65535])
    model.look_through(Lens.ATTEMPTS)
    assert picture(model) == "19·"
    model.look_through(Lens.NODE)
    assert picture(model) == "AB·"
    model.time([0.0, 0.0, None], [10.0, 1.0, None])
    model.look_through(Lens.DURATION)
    assert picture(model) == "▃▁·"
    row = Row(index=1, state="failed", attempts=1)
    group = FailureGroup(group="g", cause=Cause.OOM, exit_code=None, message="", count=1, partitions="1,7", sample=row)
    model.learn([group])
    model.look_through(Lens.GROUP)
    assert model.level.codes[1] & 63 == LETTER_BASE
    model.look_through(Lens.STATE)
    assert picture(model) == "█✗·"


def test_retries_are_attempts_beyond_the_first() -> None:
    assert model_of([S.WAITING, S.RUNNING, S.FAILED], attempts=[0, 1, 3]).retries() == 2


def test_unfinished_partitions_are_walked_longest_first_where_times_are_known() -> None:
    model = model_of([S.RUNNING, S.COMPLETED, S.RUNNING, S.WAITING, S.RUNNING])
    assert model.next_unfinished(0, 1) == 2, "by index, as long as nothing is known"
    model.time([1.0, 1.0, 1.0, None, 1.0], [5.0, 99.0, 50.0, None, 7.0])
    walked: list[int | None] = []
    at: int | None = 1
    for _ in range(5):
        at = model.next_unfinished(at or 0, 1)
        walked.append(at)
    assert walked == [2, 4, 0, 3, 2]
    assert model.next_unfinished(2, -1) == 3


def test_the_duration_lens_tells_what_took_much_longer_than_the_median() -> None:
    model = model_of([S.COMPLETED] * 5)
    model.look_through(Lens.DURATION)
    model.time([0.0] * 5, [10.0, 10.0, 1.0, 100.0, None])
    model.show(1)
    codes = [model.code(at, at + 1) for at in range(5)]
    assert codes == [DURATION_BASE + 1, DURATION_BASE + 1, DURATION_BASE, DURATION_BASE + 3, ATTEMPT_BASE]


def test_times_count_from_the_jobs_start_and_what_runs_has_run_until_now() -> None:
    none = 2**32 - 1
    begun, ran = spans([none, 2, 3], [none, 9, none], origin=1000.0, now=1010.5)
    assert begun == [None, 1002.0, 1003.0]
    assert ran == [None, 7.0, 7.0]
