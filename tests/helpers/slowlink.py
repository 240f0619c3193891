"""A bad line to the orchestrator: everything that goes through it is late, and now and then a piece is very late."""

import asyncio
import contextlib
import random
import threading
from collections.abc import Iterator


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float, chance: random.Random
) -> None:
    """Hand on what comes, in order: each piece after `delay`; one of twenty is repeated by TCP, which takes a second more."""
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def hand_on() -> None:
        while True:
            due, piece = await pieces.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not piece:
                return
            writer.write(piece)
            await writer.drain()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hand_on())
        piece = b"."
        while piece:
            with contextlib.suppress(ConnectionError):
                piece = await reader.read(1400)
            late = delay + (1.0 if chance.random() < 0.05 else 0.0)
            pieces.put_nowait((loop.time() + late, piece))


@contextlib.contextmanager
def slow_link(port: int, delay: float) -> Iterator[int]:
    """A port that leads to `port` of this machine over a line that takes `delay` seconds each way."""
    chance = random.Random(20)
    ready, found = threading.Event(), [0]
    loop = asyncio.new_event_loop()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            ends.append(far_writer)
            async with asyncio.TaskGroup() as ways:
                ways.create_task(_carry(reader, far_writer, delay, chance))
                ways.create_task(_carry(far_reader, writer, delay, chance))
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            return  # either side hung up, or the test is over
        finally:
            for end in ends:
                end.transport.abort()

    async def live() -> None:
        server = await asyncio.start_server(connect, "127.0.0.1", 0)
        found[0] = server.sockets[0].getsockname()[1]
        ready.set()
        with contextlib.suppress(asyncio.CancelledError):
            await server.serve_forever()

    task = loop.create_task(live())

    async def end() -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for one in rest:
            one.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.sleep(0)  # aborted connections are closed in the next turn

    def work() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(task)
        loop.run_until_complete(end())
        loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert ready.wait(10)
        yield found[0]
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)
