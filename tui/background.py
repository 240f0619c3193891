"""Work beside the screen: every worker is begun here.

A worker is given the function, never its coroutine: what is cancelled before its first step has nothing then that was never
awaited.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, ParamSpec

from textual.dom import DOMNode
from textual.worker import Worker

P = ParamSpec("P")


def begin(
    node: DOMNode, group: str, work: Callable[P, Coroutine[Any, Any, None]], *args: P.args, **kwargs: P.kwargs
) -> Worker[None]:
    """Do it for as long as the node lives, instead of what is done in that group; without a group beside all others."""
    call: Any = partial(work, *args, **kwargs)
    return node.run_worker(call, group=group or "default", exclusive=bool(group), exit_on_error=False)
