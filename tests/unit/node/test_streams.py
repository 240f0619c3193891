"""What is seen, stored and told of a program's output."""

from pathlib import Path

from node.streams import KEPT_BYTES, MOST_MARKS, Output, StreamLog, printable
from orchestrator.contract.agent import LogMark, Stream


def log_of(path: Path, content: bytes) -> StreamLog:
    path.write_bytes(content)
    log = StreamLog(stream=Stream.ERR, path=path, marks=[])
    log.look(1.0)
    return log


def test_marks_say_when_bytes_had_been_seen(tmp_path: Path) -> None:
    path = tmp_path / "stderr"
    log = log_of(path, b"one\n")
    log.look(1.2)
    path.write_bytes(b"one\ntwo\n")
    log.look(1.4)
    assert log.marks == [LogMark(offset=4, at=1.0), LogMark(offset=8, at=1.4)]
    assert log.marks_of(0, 2) == (LogMark(offset=4, at=1.0),)
    assert log.marks_of(2, 6) == (LogMark(offset=4, at=1.0), LogMark(offset=8, at=1.4))
    log.acknowledge(4)
    assert (log.waiting, log.waiting_since, log.marks) == (4, 1.4, [LogMark(offset=8, at=1.4)])


def test_marks_are_bounded_and_the_newest_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "stderr"
    log = log_of(path, b"")
    for number in range(1, 3 * MOST_MARKS):
        with path.open("ab") as file:
            file.write(b"x")
        log.look(float(number))
    assert len(log.marks) <= MOST_MARKS
    assert log.marks[-1].offset == log.size


def test_the_head_is_two_kib_and_never_half_a_character(tmp_path: Path) -> None:
    assert log_of(tmp_path / "a", b"x" * 2048).head() == ("x" * 2048, False)
    assert log_of(tmp_path / "b", b"x" * 2049).head() == ("x" * 2048, True)
    assert log_of(tmp_path / "c", b"x" * 2047 + "ä".encode()).head() == ("x" * 2047, True)
    assert log_of(tmp_path / "d", b"x\xff").head() == ("x\ufffd", False)
    assert log_of(tmp_path / "e", b"ab" + b"\0" * 20_000).head()[0].startswith("ab")


def test_the_last_line_is_the_last_that_says_something_and_harmless(tmp_path: Path) -> None:
    assert log_of(tmp_path / "a", b"one\n two \n\n \t\n").last_line() == "two"
    assert log_of(tmp_path / "b", b"\x1b[2Jgone\xff").last_line() == "\\x1b[2Jgone\ufffd"
    assert log_of(tmp_path / "c", b"y" * 900).last_line() == "y" * 500
    assert log_of(tmp_path / "d", b"").last_line() == ""
    assert printable("ä\t\u202e") == "ä\\t\\u202e"


def test_the_tail_is_what_is_not_stored_at_most_16_kib(tmp_path: Path) -> None:
    log = log_of(tmp_path / "a", b"a" * 10_000 + b"b" * 16_384)
    tail = log.tail()
    assert tail is not None
    assert (tail.offset, tail.content) == (10_000, b"b" * 16_384)
    log.acknowledge(26_000)
    tail = log.tail()
    assert tail is not None
    assert (tail.offset, len(tail.content)) == (26_000, 384)
    log.acknowledge(26_384)
    assert log.tail() is None


def test_no_more_than_the_last_64_mib_wait_to_be_shipped(tmp_path: Path) -> None:
    log = StreamLog(stream=Stream.OUT, path=tmp_path / "a", marks=[])
    assert not log.skip(KEPT_BYTES)
    assert log.skip(KEPT_BYTES + 5)
    assert (log.acknowledged, log.is_truncated) == (5, True)


def test_a_file_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    output = Output.at(tmp_path / "stdout", tmp_path / "stderr")
    output.look(1.0)
    assert (output.tails(), output.out.head(), output.has_rest) == ((), ("", False), False)
