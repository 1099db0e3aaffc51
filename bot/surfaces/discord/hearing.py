"""Messages: direct ones, mentions, replies to the bot; their edits and deletions."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import Any

import discord

from bot.answering.conversation import Turn, follows_up
from bot.answering.reply import Answer, DidYouMean, NotInStory, Reply
from bot.surfaces.discord.buttons import buttons
from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.failing import BROKEN, UNREACHABLE, why
from bot.surfaces.discord.manners import SLOW_DOWN, Pace
from bot.surfaces.discord.records import Record
from bot.surfaces.discord.render import NOBODY, content
from bot.surfaces.discord.store import Choices

log = logging.getLogger(__name__)

EDIT_SECONDS = 60.0
UNREADABLE = "I cannot read this reply: mention me in it."
ONLY_MY_ROLE = "I cannot read this message, which mentions my role alone: mention me in it."
_QUESTION_WORDS = (
    "who whom whose what when where which why how is are was were did do does has have had can could will would"
).split()
_HEARD = (discord.MessageType.default, discord.MessageType.reply)


def looks_like_question(text: str) -> bool:
    """Whether a message that is addressed to nobody asks something."""
    first = text.split(maxsplit=1)[0].strip(",.!:;").lower() if text.strip() else ""
    return text.rstrip().endswith("?") or first in _QUESTION_WORDS


def worth_interrupting(reply: Reply) -> bool:
    """Whether a reply is worth sending to somebody who did not address the bot."""
    return isinstance(reply, Answer | DidYouMean) or (isinstance(reply, NotInStory) and reply.gap is not None)


@dataclass(frozen=True)
class Heard:
    """A message that may want an answer, and what holds where it was written."""

    message: discord.Message
    me: discord.ClientUser
    addressed: bool
    choices: Choices
    record: Record


class Listener:
    """Hears messages and answers those that are meant for the bot."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def message(self, message: discord.Message, me: discord.ClientUser) -> None:
        """Answer a direct message, a mention, a reply to the bot, or a question where every question is answered."""
        if message.author.bot or message.webhook_id or message.type not in _HEARD or message.mention_everyone:
            return
        if message.guild is None and not isinstance(message.channel, discord.DMChannel):
            return  # of a server that is not known yet: no direct message
        addressed = (
            message.guild is None
            or me in message.mentions
            or bool(_own_roles(message, me))
            or _replied_to(message, me) is not None
        )
        if not (addressed or self._desk.message_content) or not self._desk.take():
            return
        record = self._desk.records.open(_record_of(message, me, self._desk.clock()))
        async with self._desk.lanes.turn(record.key):
            try:
                choices = await self._desk.choices(_server(message), message.channel)
                heard = Heard(message, me, addressed, choices, record)
                if self._welcome(heard) and self._may_speak(message):
                    await self._serve(heard)
            except UNREACHABLE as error:
                self._undelivered(message.channel.id, error)
            except Exception:
                await self._broken(message, told=addressed)
            finally:
                if record.answer is None:
                    self._desk.records.drop(record)

    async def edited(self, message: discord.Message, me: discord.ClientUser) -> None:
        """Update the answer to a question that was edited within a minute."""
        record = self._desk.records.of_question(message.id, self._desk.clock())
        if record is None or self._desk.clock() - record.at > EDIT_SECONDS or not self._desk.take():
            return
        async with self._desk.lanes.turn(record.key):  # behind the question itself, if that still waits
            text = _spoken(message, me)
            if not text or text == record.text or record.answer is None or record.gone:
                return
            if self._desk.readers.pace(record.asker, self._desk.clock(), tells=False) is not Pace.GO:
                return  # an edit is as much work as a question
            try:
                await self._update(record, message, text)
            except UNREACHABLE as error:
                self._undelivered(record.channel, error)
            except Exception:
                log.exception("an edited message failed")
                self._desk.metrics.failures["error"] += 1

    async def deleted(self, number: int) -> None:
        """Take back the answer to a server's message that was deleted."""
        record = self._desk.records.of_question(number, self._desk.clock())
        if record is None or not record.in_server:
            return
        record.gone = True
        if record.answer is not None:
            await self._take_back(record)

    def _welcome(self, heard: Heard) -> bool:
        """Whether moderators want this answered."""
        message, hears = heard.message, heard.choices.hears
        if message.guild is None:
            return True
        if hears == "nothing" or heard.addressed:
            return hears != "nothing"
        among_people = message.reference is not None or bool(message.mentions)
        return hears == "questions" and not among_people and looks_like_question(message.content)

    def _may_speak(self, message: discord.Message) -> bool:
        if message.guild is None:
            return True
        if self._desk.silences.holds(message.channel.id, self._desk.clock()):
            return False
        allowed = _permissions(message)
        if allowed is None:
            return True
        in_thread = isinstance(message.channel, discord.Thread)
        return allowed.view_channel and (allowed.send_messages_in_threads if in_thread else allowed.send_messages)

    async def _serve(self, heard: Heard) -> None:
        message = heard.message
        pace = self._pace(heard)
        if pace is not Pace.GO:
            if pace is Pace.NOTICE:
                await self._send(message, SLOW_DOWN, None)
        elif hint := _unreadable(heard):
            if self._desk.hints.pace(message.author.id, heard.record.at) is Pace.GO:
                await self._send(message, hint, None)
        elif not heard.record.gone:
            await self._answer(heard)

    async def _answer(self, heard: Heard) -> None:
        desk, record = self._desk, heard.record
        record.previous = self._previous(heard) if heard.addressed else None
        story = desk.story_name(_followed(record.text, record.previous), heard.choices.story)
        exchange = await desk.answer(story, record.text, record.previous)
        if record.gone or not (heard.addressed or worth_interrupting(exchange.reply)):
            return
        record.turn = exchange.turn
        if not record.forgotten:
            desk.conversations.remember(record.key, exchange.turn, desk.clock())
        view = buttons(story, exchange.reply, record.asker)
        answer = await self._send(heard.message, content(exchange.reply, desk.title(story)), view)
        desk.metrics.replied(exchange.reply, desk.clock() - record.at)
        desk.records.answered(record, answer)
        if record.gone:
            await self._take_back(record)
        if heard.addressed:  # what people say to each other is not for the host's log
            await desk.note(story, record.text, exchange.reply)

    async def _update(self, record: Record, message: discord.Message, text: str) -> None:
        desk = self._desk
        choices = await desk.choices(_server(message), message.channel)
        story = desk.story_name(_followed(text, record.previous), choices.story)
        exchange = await desk.answer(story, text, record.previous)
        if (
            desk.conversations.previous(record.key, desk.clock()) is record.turn
        ):  # else another question was asked since
            desk.conversations.remember(record.key, exchange.turn, desk.clock())
        record.text, record.turn = text, exchange.turn
        if record.answer is not None and not record.gone:
            view = buttons(story, exchange.reply, record.asker)
            shown = content(exchange.reply, desk.title(story))
            await record.answer.edit(content=shown, view=view, allowed_mentions=NOBODY)

    def _previous(self, heard: Heard) -> Turn | None:
        """The turn that a message follows up: that of the message it replies to, or the reader's last one here."""
        replied = _replied_to(heard.message, heard.me)
        record = self._desk.records.of_answer(replied, self._desk.clock()) if replied else None
        return record.turn if record else self._desk.conversations.previous(heard.record.key, self._desk.clock())

    def _pace(self, heard: Heard) -> Pace:
        record, tells = heard.record, heard.addressed
        pace = self._desk.readers.pace(record.asker, record.at, tells=tells)
        if pace is Pace.GO and record.in_server:
            return self._desk.channels.pace(record.channel, record.at, tells=tells)
        return pace

    async def _send(self, message: discord.Message, text: str, view: discord.ui.View | None) -> discord.Message:
        """Plain in a direct message, a reply (that pings nobody) in a server; a link in a line gets no preview."""
        extra: dict[str, Any] = {"view": view} if view else {}
        allowed = _permissions(message)
        if message.guild is not None and (allowed is None or allowed.read_message_history):
            extra |= {"reference": message.to_reference(), "mention_author": False}
        return await message.channel.send(text, allowed_mentions=NOBODY, suppress_embeds=True, **extra)

    async def _take_back(self, record: Record) -> None:
        self._desk.records.drop(record)
        if record.answer is None:
            return
        try:
            await record.answer.delete()
        except UNREACHABLE as error:
            log.info("an answer could not be taken back: %s", why(error))

    def _undelivered(self, channel: int, error: BaseException) -> None:
        """Silence: the channel is closed to the bot, the question is gone, or Discord has trouble."""
        if isinstance(error, discord.Forbidden):
            self._desk.silences.add(channel, self._desk.clock())
        self._desk.metrics.failures["undelivered"] += 1
        log.info("a reply could not be sent: %s", why(error))

    async def _broken(self, message: discord.Message, *, told: bool) -> None:
        reference = secrets.token_hex(4)
        log.exception("message failed, reference %s", reference)
        self._desk.metrics.failures["error"] += 1
        if not told:  # people who talk to each other have nothing to try again
            return
        try:
            await self._send(message, BROKEN.format(reference=reference), None)
        except UNREACHABLE as error:
            self._undelivered(message.channel.id, error)


def _server(message: discord.Message) -> int | None:
    return message.guild.id if message.guild else None


def _followed(text: str, previous: Turn | None) -> str | None:
    """The story that a message follows up, whichever one is asked about here otherwise."""
    return previous.story if previous and follows_up(text) else None


def _record_of(message: discord.Message, me: discord.ClientUser, arrived: float) -> Record:
    return Record(
        question=message.id,
        asker=message.author.id,
        channel=message.channel.id,
        text=_spoken(message, me),
        at=arrived,
        in_server=message.guild is not None,
    )


def _unreadable(heard: Heard) -> str | None:
    """What to do where Discord blanked a text, as it does without the intent where nothing mentions the bot itself."""
    message = heard.message
    if message.content or message.attachments or message.stickers or message.guild is None:
        return None
    if _replied_to(message, heard.me) is not None:
        return UNREADABLE
    return ONLY_MY_ROLE if _own_roles(message, heard.me) else None


def _own_roles(message: discord.Message, me: discord.ClientUser) -> list[discord.Role]:
    """The role that Discord made for the bot in this server, where the message mentions it: the names look alike."""
    return [role for role in message.role_mentions if role.tags and role.tags.bot_id == me.id]


def _spoken(message: discord.Message, me: discord.ClientUser) -> str:
    """A message's text without the mention of the bot."""
    text = message.content
    for mention in (f"<@{me.id}>", f"<@!{me.id}>", *(role.mention for role in _own_roles(message, me))):
        text = text.replace(mention, " ")
    return text.strip()


def _replied_to(message: discord.Message, me: discord.ClientUser) -> int | None:
    """The number of the bot's own message that a message replies to."""
    resolved = message.reference.resolved if message.reference else None
    return resolved.id if isinstance(resolved, discord.Message) and resolved.author.id == me.id else None


def _permissions(message: discord.Message) -> discord.Permissions | None:
    """What the bot may do where a message stands; None where its membership or the channel is unknown."""
    me = message.guild.me if message.guild else None
    try:
        return message.channel.permissions_for(me) if me and not isinstance(message.channel, _UNKNOWN) else None
    except discord.ClientException:  # a thread whose channel is not known
        return None


_UNKNOWN = (discord.PartialMessageable,)
