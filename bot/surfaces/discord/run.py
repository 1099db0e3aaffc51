"""Run on Discord: log in, serve until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import discord

from bot.answering.cache import default_cache_folder
from bot.answering.matcher import Models
from bot.errors import UsageError
from bot.settings import Settings
from bot.story.library import seeds_folder
from bot.surfaces.discord.client import SourcelineBot
from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.health import Health
from bot.surfaces.discord.library import Library, load_library
from bot.surfaces.discord.logs import set_up
from bot.surfaces.discord.question_log import QuestionLog
from bot.surfaces.discord.sqlite_store import SqliteStore
from bot.surfaces.discord.starts import Starts, pause_for_limit
from bot.surfaces.discord.store import Store

log = logging.getLogger(__name__)

AUTHENTICATION_FAILED = 4004  # the close code of a token that was reset while the bot ran

NO_TOKEN = "There is no token: set DISCORD_TOKEN, or DISCORD_TOKEN_FILE to a file that holds it."  # noqa: S105
WRONG_TOKEN = "Discord does not know this token: copy it again from the developer portal, page Bot."  # noqa: S105
WRONG_INTENT = (
    "Discord refused an intent: switch Message Content Intent on in the developer portal, page Bot, "
    "or run without MESSAGE_CONTENT."
)
CLOSED = (
    "Discord closed the connection for good (code {code}): check SHARD_COUNT and SHARD_IDS, "
    "and that this version of Sourceline is up to date."
)
UNREACHABLE = "Discord cannot be reached: check the network connection and try again."
TURNED_AWAY = "Discord turned this machine away (HTTP {status}): wait an hour, or start from another address."
NO_POSTGRES = 'DATABASE_URL needs PostgreSQL\'s driver: run pip install -e ".[postgres]" in the checkout.'
PORT_TAKEN = "METRICS_PORT {port} cannot be listened on ({reason}): choose another one."


def make_store(settings: Settings) -> Store:
    """The store of the settings: PostgreSQL where a URL names it, else a file. Raises UsageError."""
    if not settings.database_url:
        return SqliteStore(settings.data_folder(os.environ) / "settings.sqlite3")
    try:
        from bot.surfaces.discord.postgres_store import PostgresStore
    except ImportError as error:
        raise UsageError(NO_POSTGRES) from error
    return PostgresStore(settings.database_url)


def make_bot(settings: Settings, library: Library) -> SourcelineBot:
    """The bot as the host's settings want it."""
    desk = Desk(
        library,
        store=make_store(settings),
        message_content=settings.message_content,
        question_log=QuestionLog(settings.question_log) if settings.question_log else None,
    )
    return SourcelineBot(desk, shard_count=settings.shard_count, shard_ids=settings.shard_ids)


async def serve(settings: Settings, library: Library) -> None:
    """Serve until SIGINT or SIGTERM. Raises UsageError for a token or a port that cannot be used."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_unhandled)
    for name in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in the loop
            loop.add_signal_handler(name, stop.set)
    shard = f"-{settings.shard_ids[0]}" if settings.shard_ids else ""  # no other process has the same first one
    starts = Starts(settings.data_folder(os.environ) / f"starts{shard}.json")
    bot = make_bot(settings, library)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(bot)
        if settings.metrics_port is not None:
            await stack.enter_async_context(_listening(bot, settings.metrics_host, settings.metrics_port))
        await _serve_until(stop, bot, settings.token, starts)
    starts.ended_well()


def _leave(number: int, frame: object) -> None:
    """Nothing is in hand yet."""
    del number, frame
    raise SystemExit(0)


def _unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what no task awaits; the loop's own line would quote the exception's words."""
    del loop
    log.error(
        "an error in the background: %s", type(context.get("exception")).__name__, exc_info=context.get("exception")
    )


@contextlib.asynccontextmanager
async def _listening(bot: SourcelineBot, host: str, port: int) -> AsyncIterator[None]:
    health = Health(bot, host, port)
    try:
        await health.start()
    except OSError as error:
        raise UsageError(PORT_TAKEN.format(port=port, reason=error.strerror)) from error
    try:
        log.info("health and metrics at %s", health.address)
        yield
    finally:
        await health.stop()


async def _serve_until(stop: asyncio.Event, bot: SourcelineBot, token: str, starts: Starts) -> None:
    running = asyncio.create_task(_connect(stop, bot, token, starts))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            log.info("told to stop")
            await bot.close()
            _, hanging = await asyncio.wait({running}, timeout=0.5)
            if hanging:  # Discord did not close the connection in time
                running.cancel()
                return
        await running
    except discord.LoginFailure as error:
        raise UsageError(WRONG_TOKEN) from error
    except discord.PrivilegedIntentsRequired as error:
        raise UsageError(WRONG_INTENT) from error
    except discord.ConnectionClosed as error:
        refused = error.code == AUTHENTICATION_FAILED
        raise UsageError(WRONG_TOKEN if refused else CLOSED.format(code=error.code)) from error
    except (OSError, aiohttp.ClientError, discord.GatewayNotFound, discord.DiscordServerError) as error:
        raise UsageError(UNREACHABLE) from error
    except discord.HTTPException as error:
        raise UsageError(TURNED_AWAY.format(status=error.status)) from error
    finally:
        stopped.cancel()


async def _connect(stop: asyncio.Event, bot: SourcelineBot, token: str, starts: Starts) -> None:
    await bot.login(token)
    recommended, _, limits = await bot.http.get_bot_gateway()
    shards = len(bot.shard_ids) if bot.shard_ids else bot.shard_count or recommended
    pause = pause_for_limit(limits["remaining"], limits["reset_after"], shards)
    if await _told_to_stop(stop, pause, f"only {limits['remaining']} starts are left today"):
        return
    pause = starts.begin(time.time())  # only now: what fails before has used up no identify
    if not await _told_to_stop(stop, pause, "it crashed several times"):
        await bot.connect()


async def _told_to_stop(stop: asyncio.Event, pause: float, reason: str) -> bool:
    """Wait, if there is a pause to make; whether the bot was told to stop meanwhile."""
    if pause > 0:
        log.warning("waiting %.0f s before connecting: %s", pause, reason)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
    return stop.is_set()


def main(settings: Settings) -> int:
    """Run the bot; exit status 0 when it was told to stop. Raises UsageError and the story's errors."""
    if not settings.token:
        raise UsageError(NO_TOKEN)
    set_up(settings.log_format, settings.log_level)
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # the bot has no voice to miss them for
    signal.signal(signal.SIGTERM, _leave)  # a container's first process would not hear it without
    log.info("loading models and stories")
    models = Models.load(cache=default_cache_folder())
    library = load_library(settings.stories or seeds_folder(), models)
    asyncio.run(serve(settings, library))
    return 0
