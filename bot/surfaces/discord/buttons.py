"""Buttons that live for ever: what they do stands in their custom_id, so a restart does not kill them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import Any, get_args

import discord

from bot.answering.conversation import START, next_turn
from bot.answering.reply import Answer, Reply, Suggestion
from bot.story.draft import shortened
from bot.story.table import Fact
from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.failing import Interaction, failed, say, taken
from bot.surfaces.discord.manners import SLOW_DOWN, Pace
from bot.surfaces.discord.pages import Grouping, fact_page
from bot.surfaces.discord.records import conversation_key
from bot.surfaces.discord.render import MAX_LABEL, NOBODY, content, with_neighbours

GONE = "That fact is no longer in the table: please ask again."
UNKNOWN_STORY = "That story is no longer here: please ask about another one."
OUTDATED = "This button is of another version of me, and I no longer know what it does: please ask again."
NOT_YOURS = "This button is for the one who asked. Ask me yourself with /ask, and you get your own."


def short(name: str) -> str:
    """Ten characters that stand for a story or a fact: a custom_id holds a hundred at most."""
    return hashlib.sha256(name.encode()).hexdigest()[:10]


def _story_of(desk: Desk, key: str) -> str | None:
    return next((name for name in desk.library.responders if short(name) == key), None)


def _fact_of(desk: Desk, story: str, key: str) -> Fact | None:
    facts = desk.library.responder(story).story.table.facts
    return next((fact for fact in facts if short(fact.id) == key), None)


def _alone(interaction: Interaction) -> bool:
    """Whether the reader and the bot are by themselves: there a reply stays where the conversation is.

    Two people's direct messages are such a channel too, where one of them has the app on the account: only the context
    tells them apart.
    """
    return interaction.context.dm_channel


class _Lasting:
    """What all buttons share: the desk takes them in hand, and errors leave through the one door."""

    async def interaction_check(self, interaction: Interaction, /) -> bool:
        """Take the press in hand."""
        return await taken(interaction, interaction.client.desk)

    async def callback(self, interaction: Interaction) -> None:
        """Do what the button says; failures are told in one line."""
        try:
            await self.press(interaction, interaction.client.desk)
        except Exception as error:
            await failed(interaction, interaction.client.desk, error)

    async def press(self, interaction: Interaction, desk: Desk) -> None:
        """What the button does."""
        raise NotImplementedError


class FactButton(
    _Lasting,
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=r"sl:(?P<act>fact|line):(?P<story>\w{10}):(?P<fact>\w{10})",
):
    """Shows a fact's answer (`fact`), or its line with the neighbours (`line`), to whoever presses."""

    def __init__(self, act: str, story: str, fact: str, label: str) -> None:
        super().__init__(_button(label, f"sl:{act}:{story}:{fact}"))
        self.act, self.story, self.fact = act, story, fact

    @classmethod
    async def from_custom_id(
        cls, interaction: Interaction, item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> FactButton:
        """The button of a message that an earlier process sent."""
        del interaction, item
        return cls(match["act"], match["story"], match["fact"], "-")

    async def press(self, interaction: Interaction, desk: Desk) -> None:
        """Answer the one who pressed: in private, or in the conversation where the two are alone."""
        arrived = desk.clock()
        story = _story_of(desk, self.story)
        fact = _fact_of(desk, story, self.fact) if story else None
        answer = desk.library.responder(story).reply_for(fact.id) if fact else None
        if story is None:
            await say(interaction, UNKNOWN_STORY)
        elif fact is None or answer is None:
            await say(interaction, GONE)
        elif self.act == "line":
            lines = desk.library.responder(story).story.article.lines
            await say(interaction, with_neighbours(lines, fact.line), private=not _alone(interaction))
        else:
            turn = replace(next_turn(START, fact.questions[0], False, answer), story=story)
            desk.conversations.remember(conversation_key(interaction.user.id, interaction.channel_id), turn, arrived)
            view = buttons(story, answer, interaction.user.id)
            await say(interaction, content(answer, desk.title(story)), private=not _alone(interaction), view=view)
            desk.metrics.replied(answer, desk.clock() - arrived)


class OtherButton(
    _Lasting,
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=r"sl:other:(?P<story>\w{10}):(?P<fact>\w{10}):(?P<asker>\d{1,20})",
):
    """“Not what I asked”: the next candidates for the asker's question. Personal."""

    def __init__(self, story: str, fact: str, asker: int) -> None:
        super().__init__(_button("Not what I asked", f"sl:other:{story}:{fact}:{asker}"))
        self.story, self.fact, self.asker = story, fact, asker

    @classmethod
    async def from_custom_id(
        cls, interaction: Interaction, item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> OtherButton:
        """The button of a message that an earlier process sent."""
        del interaction, item
        return cls(match["story"], match["fact"], int(match["asker"]))

    async def press(self, interaction: Interaction, desk: Desk) -> None:
        """Offer other questions; where the question is forgotten, those closest to the answered fact."""
        if interaction.user.id != self.asker:
            await say(interaction, NOT_YOURS)
            return
        story = _story_of(desk, self.story)
        fact = _fact_of(desk, story, self.fact) if story else None
        if story is None or fact is None:
            await say(interaction, GONE if story else UNKNOWN_STORY)
            return
        arrived = desk.clock()
        if desk.readers.pace(interaction.user.id, arrived) is not Pace.GO:
            await say(interaction, SLOW_DOWN)
            return
        private = not _alone(interaction)
        await interaction.response.defer(ephemeral=private, thinking=True)
        record = desk.records.of_answer(interaction.message.id, arrived) if interaction.message else None
        asked, previous = (record.text, record.previous) if record else (fact.questions[0], None)
        exchange = await desk.alternatives(story, asked, fact.id, previous)
        view = buttons(story, exchange.reply, self.asker)
        await say(interaction, content(exchange.reply, desk.title(story)), private=private, view=view)
        desk.metrics.replied(exchange.reply, desk.clock() - arrived)


class PageButton(
    _Lasting,
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=r"sl:page:(?P<story>\w{10}):(?P<by>topic|line|kind):(?P<page>\d{1,4}):(?P<label>[pn])",
):
    """Turns the pages of /facts, in the same message; only the one who asked sees that message."""

    def __init__(self, story: str, by: Grouping, page: int, label: str) -> None:
        words = "Previous page" if label == "p" else "Next page"
        super().__init__(_button(words, f"sl:page:{story}:{by}:{page}:{label}"))
        self.story, self.by, self.page = story, by, page

    @classmethod
    async def from_custom_id(
        cls, interaction: Interaction, item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> PageButton:
        """The button of a message that an earlier process sent."""
        del interaction, item
        by = next(known for known in get_args(Grouping) if known == match["by"])
        return cls(match["story"], by, int(match["page"]), match["label"])

    async def press(self, interaction: Interaction, desk: Desk) -> None:
        """Show the page instead of the one that stands there."""
        story = _story_of(desk, self.story)
        if story is None:
            await say(interaction, UNKNOWN_STORY)
            return
        text, view = facts_page(desk, story, self.by, self.page)
        await interaction.response.edit_message(content=text, view=view, allowed_mentions=NOBODY)


def _button(label: str, custom_id: str) -> discord.ui.Button[Any]:
    return discord.ui.Button(
        label=shortened(label, MAX_LABEL), style=discord.ButtonStyle.secondary, custom_id=custom_id
    )


def facts_page(desk: Desk, story: str, by: Grouping, page: int) -> tuple[str, discord.ui.View | None]:
    """A page of /facts with the buttons that turn it; the last page where there are fewer."""
    shown = fact_page(desk.library.responder(story).story.table, by, page)
    view = discord.ui.View(timeout=None)
    if shown.number > 1:
        view.add_item(PageButton(short(story), by, shown.number - 1, "p"))
    if shown.number < shown.of:
        view.add_item(PageButton(short(story), by, shown.number + 1, "n"))
    return shown.text, view if view.children else None


def buttons(story: str, reply: Reply, asker: int) -> discord.ui.View | None:
    """The buttons under a reply: an answer's context and its alternatives, and the suggested questions."""
    view = discord.ui.View(timeout=None)
    if isinstance(reply, Answer):
        view.add_item(FactButton("line", short(story), short(reply.fact), "Show context"))
        view.add_item(OtherButton(short(story), short(reply.fact), asker))
    suggestions: dict[str, Suggestion] = {suggestion.fact: suggestion for suggestion in reply.suggestions}
    for suggestion in list(suggestions.values())[:3]:
        view.add_item(FactButton("fact", short(story), short(suggestion.fact), suggestion.question))
    return view if view.children else None


LASTING = (FactButton, OtherButton, PageButton)


def is_known(custom_id: str) -> bool:
    """Whether a button of this version has such a custom_id."""
    return any(button.__discord_ui_compiled_template__.fullmatch(custom_id) for button in LASTING)


async def outdated(interaction: Interaction, desk: Desk) -> None:
    """Say of a button that nobody knows that it is none of this version's; Discord would only say that it failed."""
    if not await taken(interaction, desk):
        return
    try:
        await say(interaction, OUTDATED)
    except Exception as error:
        await failed(interaction, desk, error)
