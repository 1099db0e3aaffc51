"""The desk: everything that answering on Discord needs, without the connection itself."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import discord

from bot.answering.conversation import START, Conversations, Turn
from bot.answering.reply import Reply
from bot.answering.responder import Exchange, Responder
from bot.surfaces.discord.library import Library
from bot.surfaces.discord.manners import (
    CHANNEL_MESSAGES,
    CHANNEL_SECONDS,
    READER_MESSAGES,
    READER_SECONDS,
    Cooldown,
    Lanes,
    Silences,
)
from bot.surfaces.discord.metrics import Metrics
from bot.surfaces.discord.preferences import Preferences
from bot.surfaces.discord.question_log import QuestionLog
from bot.surfaces.discord.records import Records
from bot.surfaces.discord.store import Choices, Store

log = logging.getLogger(__name__)

THINKERS = 2  # while the models read one question, questions that only have to be looked up do not wait for it
_NOBODY = "nobody"  # no reader's key: those begin with a number
MAX_IN_HAND = 5000  # messages and interactions at once; more would only wait beyond anybody's patience


class Desk:
    """Stories, settings, memory, manners and counters of one process."""

    def __init__(
        self,
        library: Library,
        *,
        store: Store | None = None,
        clock: Callable[[], float] = time.monotonic,
        message_content: bool = False,
        question_log: QuestionLog | None = None,
    ) -> None:
        self.library = library
        self.clock = clock
        self.message_content = message_content
        self.preferences = Preferences(store, clock)
        self.conversations = Conversations()
        self.records = Records()
        self.metrics = Metrics()
        self.lanes = Lanes()
        self.readers = Cooldown(READER_MESSAGES, READER_SECONDS)
        self.channels = Cooldown(CHANNEL_MESSAGES, CHANNEL_SECONDS)
        self.silences = Silences()
        self.hints = Cooldown(1, 900.0)  # a reader is told once that a message cannot be read
        self.question_log = question_log
        self._log_failed = False
        # A responder never changes, so threads share it; lanes keep every reader's order.
        self._thinker = ThreadPoolExecutor(max_workers=THINKERS, thread_name_prefix="answer")
        self._in_hand: set[asyncio.Task[Any]] = set()
        self._closing = False

    @property
    def waiting(self) -> int:
        """How many messages and interactions are in hand."""
        return len(self._in_hand)

    def story_name(self, *names: str | None) -> str:
        """The first of the names that the library has; the library's default where it has none of them."""
        return next((name for name in names if name and name in self.library.responders), self.library.default)

    def responder(self, *names: str | None) -> Responder:
        """The responder of the first of the names that the library has, or of its default."""
        return self.library.responder(self.story_name(*names))

    def title(self, story: str) -> str:
        """A story's title."""
        return self.library.responder(story).story.title

    def tables(self) -> dict[str, str]:
        """The digest of every story's table: two processes that answer alike show the same."""
        return {
            name: hashlib.sha256(repr(responder.story.table).encode()).hexdigest()[:12]
            for name, responder in self.library.responders.items()
        }

    async def choices(self, server: int | None, channel: object) -> Choices:
        """What moderators chose for a channel: a thread takes its channel's choices, a channel its category's."""
        return await self.preferences.of(server, _places(channel))

    def take(self) -> bool:
        """Take the task that runs in hand until it ends, so that closing waits for it; False where it is too much."""
        task = asyncio.current_task()
        if task is None or self._closing or len(self._in_hand) >= MAX_IN_HAND:
            self.metrics.failures["dropped"] += 1
            return False
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)
        return True

    async def answer(self, story: str, message: str, previous: Turn | None = None) -> Exchange:
        """The exchange for a message, worked out off the event loop."""
        return await self._think(self.library.responder(story).respond, message, previous)

    async def alternatives(self, story: str, message: str, without: str, previous: Turn | None) -> Exchange:
        """The next candidates for a message whose answer was not what was asked."""
        return await self._think(self.library.responder(story).alternatives, message, without, previous)

    async def suggest(self, story: Responder, typed: str) -> list[str]:
        """Questions of a story's table for what was typed so far, worked out off the event loop."""
        return await asyncio.to_thread(story.suggest, typed)

    async def note(self, story: str, question: str, reply: Reply) -> None:
        """Write a question to the host's log of questions, where there is one. Never raises."""
        if self.question_log is not None:
            await self._log(partial(self.question_log.add, _today(), story, question, reply))

    def forget(self, reader: int) -> None:
        """Clear what is kept of a reader."""
        self.conversations.forget(f"{reader}:")
        self.records.forget(reader)

    async def tidy(self) -> None:
        """Let go of what is older than readers are told that it is kept. Never raises."""
        now = self.clock()
        self.records.expire(now)
        self.conversations.remember(_NOBODY, START, now)  # remembering lets go of all that is too old
        self.conversations.forget(_NOBODY)
        if self.question_log is not None:
            await self._log(partial(self.question_log.prune, _today()))

    async def close(self, patience_s: float) -> None:
        """Take nothing more, let what is in hand finish as far as the time allows, and close the store."""
        self._closing = True
        pending = {task for task in self._in_hand if task is not asyncio.current_task()}
        if pending:
            await asyncio.wait(pending, timeout=patience_s)
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=0.5)
        self._thinker.shutdown(wait=False, cancel_futures=True)
        await self.preferences.close()

    async def _log(self, work: Callable[[], None]) -> None:
        """Do something to the log of questions, off the event loop; a failure is told once, until it works again."""
        try:
            await asyncio.to_thread(work)
        except OSError as error:
            if not self._log_failed:
                log.error("the question log cannot be written (%s): it is tried again", error.strerror)
            self._log_failed = True
        else:
            self._log_failed = False

    async def _think(self, work: Callable[..., Exchange], *arguments: object) -> Exchange:
        return await asyncio.get_running_loop().run_in_executor(self._thinker, partial(work, *arguments))


def _today() -> date:
    return datetime.now(UTC).date()


def _places(channel: object) -> list[int]:
    """The numbers of a channel, of the channel that a thread is in, and of their category, as far as they are known."""
    places = [getattr(channel, "id", None), getattr(channel, "parent_id", None)]
    with suppress(discord.ClientException):  # a thread whose channel is not known, as where only the reader has the app
        places.append(getattr(channel, "category_id", None))
    return [place for place in places if place]
