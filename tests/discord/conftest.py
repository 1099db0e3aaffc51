"""A bot logged in to a loopback Discord."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import discord
import pytest
import pytest_asyncio

from bot.answering.responder import Responder
from bot.surfaces.discord.client import SourcelineBot
from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.library import Library
from bot.surfaces.discord.sqlite_store import SqliteStore
from tests.discord.loopback import TOKEN, FakeDiscord


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest_asyncio.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeDiscord]:
    """A loopback Discord that discord.py talks to; an unknown route fails the test."""
    fake = FakeDiscord()
    await fake.start()
    monkeypatch.setattr(discord.http.Route, "BASE", fake.api)
    monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", fake.gateway)
    yield fake
    await fake.stop()
    assert fake.unknown == []


@pytest.fixture
def library(seed_responder: Responder) -> Library:
    """The seed story alone."""
    return Library({seed_responder.story.name: seed_responder}, seed_responder.story.name)


@pytest.fixture
def clock() -> Clock:
    """A clock that stands until the test moves it."""
    return Clock()


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """Where the settings of servers are kept."""
    return tmp_path / "settings.sqlite3"


class QuickBot(SourcelineBot):
    """The bot without the five seconds that discord.py waits before it identifies again."""

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        return


@asynccontextmanager
async def connected(server: FakeDiscord, desk: Desk, **options: Any) -> AsyncIterator[SourcelineBot]:
    """The bot, ready and with nothing left to tidy; an error in discord.py ends `start` and fails the test."""
    client = QuickBot(desk, guild_ready_timeout=0, **options)
    server.ready.clear()
    running = asyncio.create_task(client.start(TOKEN))
    ready = asyncio.create_task(client.swept.wait())
    await asyncio.wait({running, ready}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        ready.cancel()
        await client.close()
        await running
    try:
        yield client
    finally:
        await client.close()
        await running


@pytest.fixture
def desk(library: Library, clock: Clock, settings_file: Path) -> Desk:
    """A desk with the seed story and settings in a file."""
    return Desk(library, store=SqliteStore(settings_file), clock=clock)


@pytest_asyncio.fixture
async def bot(server: FakeDiscord, desk: Desk) -> AsyncIterator[SourcelineBot]:
    """The bot, ready."""
    async with connected(server, desk) as client:
        yield client
