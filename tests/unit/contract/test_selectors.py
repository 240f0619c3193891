"""Label selectors and the constraints of jobs."""

import pytest

from orchestrator.contract.job import Constraint
from orchestrator.contract.selectors import (
    LabelSelector,
    constraint_matches,
    constraint_mismatch,
    is_preference,
)

LABELS = {"env": "prod", "size": "12", "team": "", "a.b/c": "x"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ("env", True),
        ("nope", False),
        ("!nope", True),
        ("!env", False),
        ("env=prod", True),
        ("env==prod", True),
        ("env = test", False),
        ("env!=test", True),
        ("nope!=test", True),
        ("env in (test, prod)", True),
        ("env in (test)", False),
        ("env notin (test)", True),
        ("nope notin (test)", True),
        ("env notin (prod)", False),
        ("size>11", True),
        ("size<12", False),
        ("size > 12", False),
        ("env>1", False),
        ("nope<1", False),
        ("team=", True),
        ("a.b/c=x", True),
        ("env=prod,size>11,!nope", True),
        ("env=prod,size>12", False),
    ],
)
def test_selector_matches_as_kubernetes_does(text: str, *, holds: bool) -> None:
    assert LabelSelector.parse(text).matches(LABELS) is holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b c", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a b c===", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a,", "found '', expected: identifier after ','"),
        ("=a", "found '=', expected: !, identifier, or 'end of string'"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a in b", "unable to parse requirement: found 'b', expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a>x", "unable to parse requirement: for 'Gt', 'Lt' operators, the value must be an integer, found 'x'"),
        ("a>9223372036854775808", "the value must be an integer"),
        ("-a", "invalid label key '-a'"),
        ("a=-b", "invalid label value '-b'"),
        (f"{'a' * 64}", "invalid label key"),
        ("a=é", "invalid label value"),
    ],
)
def test_bad_selector_is_refused_as_kubernetes_does(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        LabelSelector.parse(text)

    assert message in str(caught.value)


def test_selector_reads_as_constraints_of_a_job() -> None:
    assert LabelSelector.parse("a=b,c in (y,x),!d").constraints() == (
        Constraint(key="a", operator="=", values=("b",)),
        Constraint(key="c", operator="in", values=("x", "y")),
        Constraint(key="d", operator="!"),
    )


@pytest.mark.parametrize(
    ("key", "operator", "values", "excluded"),
    [
        ("env", "=", ("prod",), False),
        ("env", "=", ("test",), True),
        ("nope", "exists", (), True),
        ("nope", "!", (), False),
        ("env", "exists", (), False),
        ("size", "gt", ("11",), False),
        ("size", "lt", ("11",), True),
        ("env", "notin", ("prod", "test"), True),
        ("favour_env", "=", ("test",), False),
    ],
)
def test_constraint_excludes_nodes_unless_it_is_a_wish(
    key: str, operator: str, values: tuple[str, ...], *, excluded: bool
) -> None:
    assert constraint_mismatch(Constraint(key=key, operator=operator, values=values), LABELS) is excluded


def test_wish_still_tells_whether_it_is_fulfilled() -> None:
    wish = Constraint(key="favour_env", operator="=", values=("prod",))

    assert is_preference(wish)
    assert constraint_matches(wish, LABELS)
    assert not constraint_matches(wish, {"env": "test"})
