"""The UI in a browser: who may come in, and that what comes in is the UI."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import psutil
import pytest
from aiohttp import web

from tests.helpers.processes import free_port
from tui.options import Options
from tui.settings import Settings
from tui.web import ShoalServer, command_of


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ShoalServer]:
    others = set(psutil.Process().children())
    options = Options(settings=Settings(url="http://127.0.0.1:9", home=tmp_path))
    made = ShoalServer(command_of(options, may_write=False), free_port())
    runner = web.AppRunner(await made._make_app())
    await runner.setup()
    await web.TCPSite(runner, made.host, made.port).start()
    yield made
    await runner.cleanup()
    async with asyncio.timeout(60):  # a UI that outlives the loop could not tell of its end
        while set(psutil.Process().children()) - others:  # noqa: ASYNC110 - nobody tells when they have ended
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def test_without_the_token_nothing_is_shown(server: ShoalServer) -> None:
    async with browser() as session:
        for path in ("/", "/ws", "/static/", "/?token=guess"):
            async with session.get(server.public_url + path) as answer:
                assert answer.status == 403, path


async def test_the_printed_address_is_good_once(server: ShoalServer) -> None:
    async with browser() as first, browser() as second:
        async with first.get(server.address) as answer:
            assert answer.status == 200
            assert "token" not in str(answer.url)
        async with second.get(server.address) as answer:
            assert answer.status == 403


async def test_a_page_of_another_origin_cannot_drive_it(server: ShoalServer) -> None:
    async with browser() as session:
        async with session.get(server.address) as answer:
            assert answer.status == 200
        for origin in ("http://evil.example", f"http://localhost:{server.port}", "null", None):
            headers = {} if origin is None else {"Origin": origin}
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"{server.public_url}/ws", headers=headers)
            assert refused.value.status == 403, origin


async def test_another_host_name_is_refused_so_that_no_name_can_be_rebound(server: ShoalServer) -> None:
    async with browser() as session:
        async with session.get(server.address):
            pass
        async with session.get(server.public_url, headers={"Host": f"evil.example:{server.port}"}) as answer:
            assert answer.status == 403


async def test_our_own_page_gets_the_ui_read_only(server: ShoalServer) -> None:
    async with browser() as session:
        async with session.get(server.address):
            pass
        url = f"{server.public_url}/ws?width=100&height=30"
        seen = b""
        async with session.ws_connect(url, headers={"Origin": server.public_url}) as socket_:
            while b"No orchestrator yet" not in seen:
                message = await socket_.receive(timeout=30)
                assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), (message, seen[-300:])
                seen += message.data if isinstance(message.data, bytes) else message.data.encode()
    assert "--read-only" in server.command


def test_the_command_is_quoted_and_carries_no_token(tmp_path: Path) -> None:
    settings = Settings(url="http://127.0.0.1:1234", token="secret", home=tmp_path)
    command = command_of(Options(settings=settings, job="x; touch /tmp/owned"), may_write=True)
    assert "'x; touch /tmp/owned'" in command
    assert "secret" not in command
    assert "--read-only" not in command
