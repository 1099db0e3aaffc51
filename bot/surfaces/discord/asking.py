"""Asking by command: /ask with its autocomplete, and "Check against the story" on anybody's message."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from bot.answering.reply import Reply
from bot.surfaces.discord.buttons import buttons
from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.failing import Interaction, say
from bot.surfaces.discord.manners import SLOW_DOWN, Pace
from bot.surfaces.discord.places import NO_SUCH_STORY, Tree, everywhere, found_story, story_choices
from bot.surfaces.discord.records import Record
from bot.surfaces.discord.render import MAX_CHOICE, NOBODY, content

NOTHING_TO_CHECK = "That message has no text that I could check."


async def answer(interaction: Interaction, desk: Desk, story: str, question: str, *, private: bool) -> Reply | None:
    """Defer at once, work the answer out, and send it; the reply, or None on cooldown."""
    arrived = desk.clock()
    pace = desk.readers.pace(interaction.user.id, arrived)
    if pace is Pace.GO and interaction.guild_id is not None and not private:  # what a channel sees, it has a pace for
        pace = desk.channels.pace(interaction.channel_id or 0, arrived, tells=False)
    if pace is not Pace.GO:  # an interaction without any answer looks broken, and only the reader sees this one
        await say(interaction, SLOW_DOWN)
        return None
    await interaction.response.defer(ephemeral=private, thinking=True)
    record = Record(interaction.id, interaction.user.id, interaction.channel_id or 0, question.strip(), arrived)
    desk.records.open(record)
    async with desk.lanes.turn(record.key):
        try:
            exchange = await desk.answer(story, record.text)
            record.turn = exchange.turn
            if not record.forgotten:
                desk.conversations.remember(record.key, exchange.turn, desk.clock())
            view = buttons(story, exchange.reply, record.asker)
            extra: dict[str, Any] = {"view": view} if view else {}
            shown = content(exchange.reply, desk.title(story))
            sent = await interaction.followup.send(
                shown, ephemeral=private, wait=True, allowed_mentions=NOBODY, suppress_embeds=True, **extra
            )
        except BaseException:
            desk.records.drop(record)
            raise
    desk.metrics.replied(exchange.reply, desk.clock() - arrived)
    desk.records.answered(record, sent)
    return exchange.reply


def add_ask(tree: Tree, desk: Desk) -> None:
    """Add /ask."""

    @tree.command(name="ask", description="Ask what the story says")
    @app_commands.describe(question="Your question", story="Which story", private="Only you see the answer")
    @everywhere
    async def ask(
        interaction: Interaction,
        question: app_commands.Range[str, 1, 2000],
        story: str | None = None,
        private: bool | None = None,
    ) -> None:
        choices = await desk.choices(interaction.guild_id, interaction.channel)
        hidden = private if private is not None else bool(choices.private)
        name = found_story(desk, story, choices.story)
        if name is None:
            await say(interaction, NO_SUCH_STORY)
            return
        reply = await answer(interaction, desk, name, question, private=hidden)
        if reply is not None:
            await desk.note(name, question, reply)

    @ask.autocomplete("question")
    async def questions(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        choices = await desk.choices(interaction.guild_id, interaction.channel)
        story = desk.responder(getattr(interaction.namespace, "story", None), choices.story)
        found = await desk.suggest(story, typed)
        return [app_commands.Choice(name=q, value=q) for q in found if 0 < len(q) <= MAX_CHOICE][:25]

    @ask.autocomplete("story")
    async def stories(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        del interaction
        return story_choices(desk, typed)


def told_by(message: discord.Message) -> str:
    """What a message says: its own text, that of a message forwarded with it, or that of its first card."""
    forwarded = [snapshot.content for snapshot in message.message_snapshots]
    cards = [f"{card.title or ''}\n{card.description or ''}" for card in message.embeds]
    return next((text.strip() for text in (message.content, *forwarded, *cards) if text.strip()), "")


def add_check(tree: Tree, desk: Desk) -> None:
    """Add the message command."""

    @tree.context_menu(name="Check against the story")
    @everywhere
    async def check(interaction: Interaction, message: discord.Message) -> None:
        text = told_by(message)
        if not text:
            await say(interaction, NOTHING_TO_CHECK)
            return
        choices = await desk.choices(interaction.guild_id, interaction.channel)
        await answer(interaction, desk, desk.story_name(choices.story), text, private=True)
