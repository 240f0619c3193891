"""Keys: each has an id and words, none has two meanings, a keymap file is checked line by line."""

from pathlib import Path

import pytest

from tui import keymap
from tui.bindings import BY_ID, KEYS, TOGETHER, bindings, check_keymap, clashes, is_key


def test_no_key_has_two_meanings_where_both_are_active() -> None:
    assert clashes() == []


def test_every_binding_has_an_id_words_and_keys_that_exist() -> None:
    assert len(BY_ID) == len(KEYS)
    contexts = {context for group in TOGETHER for context in group}
    for key in KEYS:
        assert key.tooltip
        assert key.label
        assert key.context in contexts, f"{key.id}: its context is in no group, so its clashes are not seen"
        assert all(is_key(one) for one in key.keys.split(",")), key.keys
    assert all(binding.id and binding.tooltip for binding in bindings(*contexts))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ({"job.nxt": "f"}, "job.nxt: no such binding; did you mean job.next?"),
        ({"job.next": "spce"}, "job.next: 'spce' is no key; did you mean space?"),
        ({"job.next": ""}, "job.next: '' is no key"),
        ({"job.log": "n"}, "job.log: n already means job.next"),
        ({"job.log": "question_mark"}, "job.log: question_mark already means app.help"),
        ({"job.log": "f2", "job.why": "f2"}, "f2 already means job.why"),
    ],
)
def test_what_a_keymap_cannot_say_is_named_and_not_used(chosen: dict[str, str], problem: str) -> None:
    usable, problems = check_keymap(chosen)
    assert any(problem in line for line in problems), problems
    assert next(iter(chosen)) not in usable


def test_keys_may_change_places_when_both_move() -> None:
    chosen = {"job.next": "l", "job.log": "n"}
    assert check_keymap(chosen) == (chosen, [])


def test_a_keymap_file_that_is_missing_broken_or_strange_is_one_line(tmp_path: Path) -> None:
    assert keymap.read(None, tmp_path) == ({}, [])
    assert "is not there" in keymap.read(tmp_path / "mine.yaml", tmp_path)[1][0]
    (tmp_path / "keymap.yaml").write_text("a: [")
    assert "is no YAML" in keymap.read(None, tmp_path)[1][0]
    (tmp_path / "keymap.yaml").write_text("- a")
    assert "allowed: lines like" in keymap.read(None, tmp_path)[1][0]
    (tmp_path / "keymap.yaml").write_text("job.log: f2\njob.nxt: n\n")
    usable, problems = keymap.read(None, tmp_path)
    assert usable == {"job.log": "f2"}
    assert len(problems) == 1


def test_a_keymap_file_names_the_line_that_is_no_yaml_and_the_value_that_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "keymap.yaml"
    path.write_text("job.log: L\njob.next: [a\n  : x\n")
    (problem,) = keymap.read(None, tmp_path)[1]
    assert problem == f"keymap: {path}, line 3 is no YAML: expected ',' or ']', but got ':'"
    path.write_text("job.log:\njob.next: [a, b]\njob.lens-state: 7\n")
    usable, problems = keymap.read(None, tmp_path)
    assert usable == {"job.lens-state": "7"}
    assert [problem.partition(", allowed")[0] for problem in problems] == [
        "keymap: job.log: found None",
        "keymap: job.next: found ['a', 'b']",
    ]


def test_an_id_that_stands_twice_in_a_keymap_file_is_named_with_both_and_not_used(tmp_path: Path) -> None:
    path = tmp_path / "keymap.yaml"
    path.write_text("job.log: f2\njob.why: f3\njob.log: [a]\njob.nxt: a\n")
    usable, problems = keymap.read(None, tmp_path)
    assert usable == {"job.why": "f3"}
    assert problems == [
        "keymap: job.log: found 'f2' (line 1) and a sequence (line 3), allowed: one line for each id",
        "keymap: job.nxt: no such binding; did you mean job.next?",
    ]
    path.write_text("job.log: f2\njob.log: f3\njob.log: f2\n")
    assert keymap.read(None, tmp_path) == (
        {},
        ["keymap: job.log: found 'f2' (line 1) and 'f3' (line 2) and 'f2' (line 3), allowed: one line for each id"],
    )
