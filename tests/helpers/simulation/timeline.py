"""Simulated time, and processes on it: each an event loop of its own that can be frozen, thawed and killed at any point.

Real coroutines (asyncio's tasks, timeouts, events) run on it unchanged, in an order that depends on nothing but the seed.
"""

import asyncio
import contextvars
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

Call = tuple[Callable[..., Any], tuple[Any, ...], contextvars.Context | None]


class Timer:
    """Something that is due; `cancel` takes it back."""

    __slots__ = ("args", "callback", "context", "is_cancelled", "process", "when")

    def __init__(
        self, when: float, process: "Process | None", callback: Callable[..., Any], args: tuple[Any, ...]
    ) -> None:
        self.when = when
        self.process = process
        self.callback = callback
        self.args = args
        self.context: contextvars.Context | None = None
        self.is_cancelled = False

    def cancel(self) -> None:
        """Never call it."""
        self.is_cancelled = True

    def cancelled(self) -> bool:
        """Whether it was taken back."""
        return self.is_cancelled


class Timeline:
    """The one clock, in seconds, and everything that is due. Events that belong to no process are the world's."""

    def __init__(self) -> None:
        self.now = 0.0
        self.problems: list[str] = []
        """What processes could not cope with: exceptions that nobody caught."""
        self._heap: list[tuple[float, int, Timer]] = []
        self._number = 0

    def at(self, when: float, callback: Callable[..., Any], *args: Any) -> Timer:
        """Have the world do something at a time."""
        return self.push(Timer(max(when, self.now), None, callback, args))

    def later(self, seconds: float, callback: Callable[..., Any], *args: Any) -> Timer:
        """Have the world do something in a while."""
        return self.push(Timer(self.now + seconds, None, callback, args))

    def push(self, timer: Timer) -> Timer:
        """Keep a timer until it is due."""
        self._number += 1
        heapq.heappush(self._heap, (timer.when, self._number, timer))
        return timer

    def advance(self, until: float) -> bool:
        """Let time pass to the next event of the world, and carry that out; False = there was none up to `until`."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            when, _, timer = heapq.heappop(heap)
            if timer.is_cancelled:
                continue
            self.now = max(self.now, when)
            process = timer.process
            if process is None:
                timer.callback(*timer.args)
                return True
            process.fire(timer)
        self.now = max(self.now, until)
        return False

    def pass_time(self, seconds: float) -> None:
        """Let so much time pass, with everything that is due meanwhile."""
        end = self.now + seconds
        while self.advance(end):
            pass


class Process:
    """One process of the simulation: an event loop over the timeline. Killed, nothing of it runs any more.

    It has of `asyncio.AbstractEventLoop` what tasks, futures and timeouts ask of theirs.
    """

    def __init__(self, timeline: Timeline, name: str) -> None:
        self.timeline = timeline
        self.name = name
        self.is_dead = False
        """Killed, or its main task has ended. What it does while it is being taken apart must have no effect."""
        self.is_frozen = False
        self._ready: deque[Call] = deque()
        self._parked: list[Timer] = []
        self._is_running = False
        self._main: asyncio.Task[Any] | None = None
        self._is_abandoned = False

    def begin(self, main: Coroutine[Any, Any, Any], ended: Callable[[BaseException | None], None]) -> None:
        """Run `main`; `ended` gets what it raised when it ends by itself."""
        self._main = self.create_task(main)

        def over(task: asyncio.Task[Any]) -> None:
            if not self.is_dead:
                self.is_dead = True
                ended(asyncio.CancelledError() if task.cancelled() else task.exception())
            elif not task.cancelled():
                task.exception()

        self._main.add_done_callback(over)
        self.drain()

    def freeze(self) -> None:
        """Stop it, as SIGSTOP does."""
        self.is_frozen = True

    def thaw(self) -> None:
        """Let it go on: everything that came due meanwhile is done now."""
        if not self.is_frozen:
            return
        self.is_frozen = False
        parked, self._parked = self._parked, []
        self._ready.extend((self._ring, (timer,), None) for timer in parked)
        self.drain()

    def kill(self) -> None:
        """End it, as SIGKILL does: whoever looks at `is_dead` sees that nothing more happens."""
        if self.is_dead:
            return
        self.is_dead = True
        if self._is_running:
            self._ready.append((self._take_apart, (), None))
        else:
            self._take_apart()

    def _take_apart(self) -> None:
        """Let the coroutines end, so that nothing is left of them to be collected later."""
        self.is_frozen = False
        for _ in range(20):
            if self._main is None or self._main.done():
                break
            self._main.cancel()
            self._run()
        self._is_abandoned = True
        self._ready.clear()
        self._parked.clear()

    def fire(self, timer: Timer) -> None:
        """Carry out a timer of this process."""
        if self._is_abandoned:
            return
        if self.is_frozen:
            self._parked.append(timer)
            return
        if self._ready:
            self._ready.append((self._ring, (timer,), None))
        else:
            self._ready.append((timer.callback, timer.args, timer.context))
        self._run()

    def _ring(self, timer: Timer) -> None:
        """Call a timer, unless it was taken back while it was due."""
        if not timer.is_cancelled:
            assert timer.context is not None
            timer.context.run(timer.callback, *timer.args)

    def drain(self) -> None:
        """Do everything that is ready, unless it is frozen or just about it."""
        if not self.is_frozen and not self._is_running and not self._is_abandoned:
            self._run()

    def _run(self) -> None:
        if self._is_running:
            return
        ready = self._ready
        before = events._get_running_loop()
        self._is_running = True
        me: Any = self
        events._set_running_loop(me)
        try:
            while ready and not self.is_frozen:
                callback, args, context = ready.popleft()
                if context is None:
                    callback(*args)
                else:
                    context.run(callback, *args)
        finally:
            events._set_running_loop(before)
            self._is_running = False

    # What asyncio asks of its loop.

    def time(self) -> float:
        """The timeline's clock."""
        return self.timeline.now

    def call_soon(self, callback: Any, *args: Any, context: contextvars.Context | None = None) -> None:
        """Do it after what is ready already."""
        self._ready.append((callback, args, context))

    def call_at(self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None) -> Timer:
        """Do it at a time."""
        timer = Timer(when, self, callback, args)
        timer.context = context or contextvars.copy_context()
        return self.timeline.push(timer)

    def call_later(self, delay: float, callback: Any, *args: Any, context: contextvars.Context | None = None) -> Timer:
        """Do it in a while."""
        return self.call_at(self.timeline.now + delay, callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this process."""
        me: Any = self
        return asyncio.Future(loop=me)

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> asyncio.Task[Any]:
        """A task of this process."""
        me: Any = self
        return asyncio.Task(coro, loop=me, name=name or "task", context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """No threads here: done at once."""
        del executor
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Remember what nobody caught."""
        if not self.is_dead:
            self.timeline.problems.append(f"{self.name}: {context.get('message')}: {context.get('exception')!r}")

    def get_debug(self) -> bool:
        """No."""
        return False

    def is_running(self) -> bool:
        """Whether it is just about something."""
        return self._is_running

    def is_closed(self) -> bool:
        """Never: it is dropped."""
        return False
