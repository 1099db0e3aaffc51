"""The bot: the connection to Discord, with the desk behind it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

import discord
from discord import app_commands

from bot.surfaces.discord.asking import add_ask, add_check
from bot.surfaces.discord.browsing import add_browsing, add_help
from bot.surfaces.discord.buttons import LASTING, is_known, outdated
from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.failing import Interaction, failed, taken
from bot.surfaces.discord.hearing import Listener
from bot.surfaces.discord.moderating import add_setup
from bot.surfaces.discord.render import NOBODY
from bot.surfaces.discord.starts import Identifies
from bot.surfaces.discord.store import StoreUnavailableError
from bot.surfaces.discord.syncing import sync

log = logging.getLogger(__name__)

FEATURES = (add_ask, add_check, add_browsing, add_help, add_setup)
IDENTIFY_PAUSE_S = 5.0  # Discord's own, between two identifies
TIDY_S = 60.0
PATIENCE_S, CLOSE_S = 2.0, 1.0  # for replies in hand, and for the sockets: with all else under five seconds


def intents(message_content: bool = False) -> discord.Intents:
    """What direct messages, mentions and replies need; the privileged one only where the host wants it."""
    chosen = discord.Intents.none()
    chosen.guilds = chosen.guild_messages = chosen.dm_messages = True
    chosen.message_content = message_content
    return chosen


class SourcelineBot(discord.AutoShardedClient):
    """Serves a library of stories on Discord."""

    def __init__(self, desk: Desk, **options: Any) -> None:
        super().__init__(
            intents=intents(desk.message_content),
            allowed_mentions=NOBODY,
            max_messages=None,
            chunk_guilds_at_startup=False,
            **options,
        )
        self.desk = desk
        self.tree = CommandTree(self)
        self._listener = Listener(desk)
        self.swept = asyncio.Event()
        self._left_are_forgotten = False
        self._identifies = Identifies()
        self._tidying: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None

    async def setup_hook(self) -> None:
        """Register commands and buttons; the process with the first shard publishes them."""
        for add in FEATURES:
            add(self.tree, self.desk)
        self.add_dynamic_items(*LASTING)
        await self.desk.tidy()  # a file may have grown old while the bot was not running
        self._tidying = asyncio.create_task(self._tidy())
        if not self.shard_ids or 0 in self.shard_ids:
            await sync(self.tree, self)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Wait between identifies as Discord wants it, and longer where sessions turn out invalid again and again."""
        shard = shard_id or 0
        pause = self._identifies.wait(shard, self.desk.clock())
        await asyncio.sleep(pause if initial else max(IDENTIFY_PAUSE_S, pause))
        self._identifies.sent(shard, self.desk.clock())

    async def close(self) -> None:
        """Let the replies in hand finish, then leave; however often it is called, once."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_S)
            await self.desk.tidy()

    async def _stop(self) -> None:
        if self._tidying is not None:
            self._tidying.cancel()
        await self.desk.close(PATIENCE_S)
        try:
            await asyncio.wait_for(super().close(), CLOSE_S)
        except TimeoutError:
            log.info("Discord did not close the connection in time")
            await self.http.close()

    async def on_ready(self) -> None:
        """Remove the settings of servers that the bot left while it was not running."""
        log.info("ready: %d servers, shards %s", len(self.guilds), sorted(self.shards))
        if not self._left_are_forgotten:  # where the settings are away, the next connection tries again
            self._left_are_forgotten = await self.desk.preferences.sweep(
                self.application_id or 0,
                lambda server: self._serves(server) and self.get_guild(server) is None,
            )
            self.swept.set()

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """Remove a server's settings with the bot."""
        self.desk.take()  # closing waits for it
        await self.desk.preferences.forget(guild.id)

    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        """Remove a channel's settings with it, or a category's."""
        await self._forget_place(channel.guild.id, channel.id)

    async def on_raw_thread_delete(self, payload: discord.RawThreadDeleteEvent) -> None:
        """Remove a thread's settings with it."""
        await self._forget_place(payload.guild_id, payload.thread_id)

    async def on_message(self, message: discord.Message) -> None:
        """Hear a message."""
        if self.user:
            await self._listener.message(message, self.user)

    async def on_interaction(self, interaction: Interaction) -> None:
        """Hear of a button that this version does not know; the library hands the others to their own code."""
        data: Any = interaction.data or {}
        if interaction.type is discord.InteractionType.component and not is_known(str(data.get("custom_id"))):
            await outdated(interaction, self.desk)

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        """Hear that a message was edited."""
        if self.user:
            await self._listener.edited(payload.message, self.user)

    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        """Hear that a message was deleted."""
        await self._listener.deleted(payload.message_id)

    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        """Hear that messages were deleted."""
        for number in payload.message_ids:
            await self._listener.deleted(number)

    async def _forget_place(self, server: int, place: int) -> None:
        self.desk.take()  # closing waits for it
        with suppress(StoreUnavailableError):  # nobody can be told; the row is only of no more use
            await self.desk.preferences.reset(server, place)

    def _serves(self, server: int) -> bool:
        return (server >> 22) % (self.shard_count or 1) in self.shards


class CommandTree(app_commands.CommandTree[SourcelineBot]):
    """The command tree, with one door for errors."""

    async def interaction_check(self, interaction: Interaction, /) -> bool:
        """Take a command in hand."""
        return await taken(interaction, self.client.desk)

    async def on_error(self, interaction: Interaction, error: app_commands.AppCommandError, /) -> None:
        """One line with a reference for the reader, the traceback under the same reference for the host."""
        await failed(interaction, self.client.desk, getattr(error, "original", error))
