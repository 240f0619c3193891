"""Random histories of one node and its orchestrator: whatever is lost or late, both come to agree and nothing runs twice."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from node.converge import Forget, Seen, Start, Stop, converge
from orchestrator.contract.agent import Assignment
from orchestrator.contract.ids import ExecutionId, JobId


def assignment(number: int) -> Assignment:
    return Assignment(
        execution_id=ExecutionId(f"e-{number}"), job_id=JobId("j-1"), job_version=1, index=number, attempt=1
    )


class Exchange(RuleBasedStateMachine):
    """The orchestrator wants ids, the node runs them, answers to any request so far arrive in any order or never."""

    requests: Bundle[int] = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.wanted: dict[ExecutionId, Assignment] = {}
        self.known_ends: set[ExecutionId] = set()
        self.seen: dict[ExecutionId, Seen] = {}
        self.started: list[ExecutionId] = []
        self.forgotten: set[ExecutionId] = set()
        self.answers: dict[int, tuple[Assignment, ...]] = {}
        self.reported: dict[int, set[ExecutionId]] = {}
        self.seq = 0
        self.taken = 0

    @rule()
    def want_another(self) -> None:
        one = assignment(len(self.wanted) + len(self.known_ends) + 1000 * len(self.started) + self.seq)
        if one.execution_id not in self.started and one.execution_id not in self.known_ends:
            self.wanted.setdefault(one.execution_id, one)

    @precondition(lambda self: self.wanted)
    @rule(data=st.data())
    def want_one_less(self, data: Any) -> None:
        del self.wanted[data.draw(st.sampled_from(sorted(self.wanted)))]

    @precondition(lambda self: any(not seen.has_ended for seen in self.seen.values()))
    @rule(data=st.data())
    def one_ends(self, data: Any) -> None:
        running = sorted(key for key, seen in self.seen.items() if not seen.has_ended)
        self.seen[data.draw(st.sampled_from(running))] = Seen(has_ended=True)

    @rule(target=requests)
    def sync_is_sent_and_observed(self) -> int:
        self.seq += 1
        ended = {key for key, seen in self.seen.items() if seen.has_ended}
        for key in ended:
            self.seen[key] = Seen(has_ended=True, named=self.seen[key].named or self.seq)
            self.wanted.pop(key, None)
        self.known_ends |= ended
        self.reported[self.seq] = ended
        self.answers[self.seq] = tuple(self.wanted.values())
        return self.seq

    @rule(seq=requests)
    def answer_arrives(self, seq: int) -> None:
        if seq <= self.taken:
            return  # the session's rule: an answer is taken only if its Seq is above the last one taken
        self.taken = seq
        for action in converge(self.answers[seq], self.seen, seq):
            match action:
                case Start(one):
                    assert one.execution_id not in self.started, "started twice"
                    self.started.append(one.execution_id)
                    self.seen[one.execution_id] = Seen()
                case Stop(key):
                    assert not self.seen[key].has_ended
                    self.seen[key] = Seen(is_stopping=True)
                case Forget(key):
                    assert self.seen[key].has_ended
                    assert key in self.known_ends, "forgotten before its end was known"
                    del self.seen[key]
                    self.forgotten.add(key)
        assert converge(self.answers[seq], self.seen, seq) == [], "asking again changes something"

    @invariant()
    def nothing_forgotten_is_here(self) -> None:
        assert not self.forgotten & set(self.seen)

    def teardown(self) -> None:
        """Left alone, node and orchestrator agree after a stop has worked and two syncs."""
        self.answer_arrives(self.sync_is_sent_and_observed())
        for key, seen in self.seen.items():
            if seen.is_stopping:
                self.seen[key] = Seen(has_ended=True)
        for _ in range(2):
            self.answer_arrives(self.sync_is_sent_and_observed())
        assert set(self.seen) == set(self.wanted)


Exchange.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestExchange = Exchange.TestCase


def test_starts_come_in_the_order_of_assignments_and_only_once() -> None:
    one, two = assignment(1), assignment(2)
    assert converge([two, one, two], {}, 1) == [Start(two), Start(one)]


def test_an_end_that_the_answered_sync_did_not_name_is_kept() -> None:
    seen = {ExecutionId("e-1"): Seen(has_ended=True, named=5)}
    assert converge([], seen, 4) == []
    assert converge([], seen, 5) == [Forget(ExecutionId("e-1"))]
    assert converge([assignment(1)], seen, 6) == []


def test_what_is_not_named_stops_once() -> None:
    assert converge([], {ExecutionId("e-1"): Seen()}, 1) == [Stop(ExecutionId("e-1"))]
    assert converge([], {ExecutionId("e-1"): Seen(is_stopping=True)}, 1) == []
