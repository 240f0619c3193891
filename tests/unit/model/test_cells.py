"""What a cell shows: the worst of its partitions wins, success is quiet."""

import pytest

from orchestrator.contract.partitions import STOPPING, PartitionState
from tui.model.cells import KIND_OF, KINDS, LOOKS, badness, code_of_counts, code_of_one

WORDS = [state.name for state in PartitionState] + ["STOPPING"]


def glyph(scale: int = 10, **kinds: int) -> str:
    """The glyph of a cell with so many partitions of each kind, the rest waiting."""
    counts = [0] * KINDS
    for word, number in kinds.items():
        counts[WORDS.index(word.upper())] = number
    counts[PartitionState.WAITING] += scale - sum(counts)
    return LOOKS[code_of_counts(counts, 0, scale)].glyph


@pytest.mark.parametrize(
    ("kinds", "shown"),
    [
        ({}, "·"),
        ({"completed": 10}, "█"),
        ({"completed": 9, "failed": 1}, "✗"),
        ({"failed": 8}, "X"),
        ({"failed": 7}, "✗"),
        ({"retrying": 1, "running": 9}, "↻"),
        ({"running": 1, "completed": 0}, "▁"),
        ({"running": 1, "completed": 9}, "▇"),
        ({"publishing": 1, "completed": 5}, "▄"),
        ({"stopping": 1, "running": 9}, "□"),
        ({"stopped": 1, "completed": 9}, "□"),
        ({"assigned": 3}, "○"),
        ({"completed": 1}, "░"),
        ({"completed": 5}, "▒"),
        ({"completed": 9}, "▓"),
        ({"completed": 9, "unselected": 1}, "█"),
        ({"unselected": 10}, " "),
    ],
)
def test_the_worst_wins(kinds: dict[str, int], shown: str) -> None:
    assert glyph(**kinds) == shown


def test_full_blocks_are_kept_for_success() -> None:
    assert {look.style for look in LOOKS if look.glyph == "█" and not look.style.startswith("duration")} == {
        "completed"
    }


def test_a_partition_that_took_more_attempts_shows_how_many() -> None:
    assert LOOKS[code_of_one(PartitionState.COMPLETED, 1)].glyph == "█"
    assert LOOKS[code_of_one(PartitionState.COMPLETED, 3)].glyph == "3"
    assert LOOKS[code_of_one(PartitionState.COMPLETED, 255)].glyph == "9"
    assert LOOKS[code_of_one(PartitionState.FAILED, 3)].glyph == "✗"


def test_every_state_byte_has_a_kind_and_failed_is_the_worst() -> None:
    assert max(KIND_OF) < KINDS
    assert KIND_OF[PartitionState.RUNNING | STOPPING] == KINDS - 1
    assert max(range(9), key=badness) == PartitionState.FAILED
    assert min(range(9), key=badness) == PartitionState.UNSELECTED


def test_every_look_has_a_plain_character() -> None:
    assert all(look.ascii.isascii() and len(look.ascii) == 1 for look in LOOKS)
