"""Every command in every place: server, direct message, group chat, a server where only the reader has the app."""

from __future__ import annotations

from typing import Any

import pytest

from bot.surfaces.discord.asking import NOTHING_TO_CHECK
from bot.surfaces.discord.client import SourcelineBot
from tests.discord.loopback import (
    ANN,
    BOB,
    BOT,
    EPHEMERAL,
    SUPPRESS_EMBEDS,
    FakeDiscord,
    in_group,
    in_pair,
    in_server,
    in_thread,
)

CONFIRMED = "When did North Korea confirm the deployment?"
FORWARDED = {
    "content": CONFIRMED, "type": 0, "embeds": [], "attachments": [], "mentions": [], "mention_roles": [], "flags": 0,
    "timestamp": "2026-11-01T00:00:00+00:00", "edited_timestamp": None,
}  # fmt: skip
PLACES: dict[str, dict[str, Any]] = {
    "direct": {},
    "server": in_server(),
    "group": in_group(),
    "two people": in_pair(),
    "thread": in_thread(),
    "user install": in_server(installed=False),
}

everywhere = pytest.mark.parametrize("place", PLACES)


@everywhere
async def test_ask_answers(server: FakeDiscord, bot: SourcelineBot, place: str) -> None:
    """Acknowledged at once, answered with the line, pinging nobody."""
    await server.slash("ask", question=CONFIRMED, within=PLACES[place])
    assert (await server.call(ending="/callback")).body["type"] == 5
    answer = (await server.call()).body
    head, quotation, line = answer["content"].split("\n")[:3]
    assert head.startswith("**")
    assert "April 28" in head
    assert quotation.startswith("> ")
    assert "**" in quotation, "the answer's words are marked in the line"
    assert line == "-# Line 3 of “North Korea confirms it sent troops to Russia”"
    assert answer["allowed_mentions"]["parse"] == []
    assert answer["flags"] & SUPPRESS_EMBEDS, "a link in a line is no card that buries it"


@everywhere
@pytest.mark.parametrize("name", ["facts", "line", "story", "help", "privacy", "forget-me"])
async def test_browsing_answers_the_reader_alone(
    server: FakeDiscord, bot: SourcelineBot, place: str, name: str
) -> None:
    """One ephemeral message, at once."""
    options = {"number": 3} if name == "line" else {}
    await server.slash(name, within=PLACES[place], **options)
    shown = await server.call(ending="/callback")
    assert shown.body["type"] == 4
    assert shown.flags == EPHEMERAL | SUPPRESS_EMBEDS
    assert shown.body["data"]["allowed_mentions"]["parse"] == []
    assert 0 < len(shown.body["data"]["content"]) <= 2000


@everywhere
async def test_autocomplete_offers_questions(server: FakeDiscord, bot: SourcelineBot, place: str) -> None:
    """From memory, within the limits."""
    await server.autocomplete("ask", "question", "when confirmed", within=PLACES[place])
    choices = (await server.call(ending="/callback")).body["data"]["choices"]
    assert 0 < len(choices) <= 25
    assert all(0 < len(choice["value"]) <= 100 for choice in choices)


@everywhere
async def test_anybody_s_message_can_be_checked(server: FakeDiscord, bot: SourcelineBot, place: str) -> None:
    """A wrong claim is met with what the story says, to the one who asked alone."""
    message = server.message("North Korea confirmed it on May 9", BOB)
    data = {
        "id": "9", "name": "Check against the story", "type": 3, "target_id": message["id"],
        "resolved": {"messages": {message["id"]: message}},
    }  # fmt: skip
    await server.interact(2, data, **PLACES[place])
    assert (await server.call(ending="/callback")).flags & EPHEMERAL
    told = (await server.call()).body["content"]
    assert "April 28" in told


@pytest.mark.parametrize(
    "extra",
    [
        {"message_snapshots": [{"message": FORWARDED}]},
        {"embeds": [{"type": "rich", "title": CONFIRMED}]},
        {"embeds": [{"type": "rich", "description": CONFIRMED}]},
    ],
    ids=["forwarded", "title of a card", "text of a card"],
)
async def test_what_a_message_passes_on_can_be_checked(
    server: FakeDiscord, bot: SourcelineBot, extra: dict[str, Any]
) -> None:
    """A forwarded message, and the card of a news feed."""
    message = server.message("", BOB, **extra)
    data = {
        "id": "9", "name": "Check against the story", "type": 3, "target_id": message["id"],
        "resolved": {"messages": {message["id"]: message}},
    }  # fmt: skip
    await server.interact(2, data, **in_server())
    assert (await server.call(ending="/callback")).flags & EPHEMERAL
    assert "April 28" in (await server.call()).body["content"]


async def test_a_message_without_text_cannot_be_checked(server: FakeDiscord, bot: SourcelineBot) -> None:
    """A picture alone is answered in one line."""
    message = server.message("", BOB)
    data = {
        "id": "9", "name": "Check against the story", "type": 3, "target_id": message["id"],
        "resolved": {"messages": {message["id"]: message}},
    }  # fmt: skip
    await server.interact(2, data)
    assert (await server.call(ending="/callback")).body["data"]["content"] == NOTHING_TO_CHECK


async def test_a_slash_question_is_remembered_for_a_follow_up(server: FakeDiscord, bot: SourcelineBot) -> None:
    """After /ask a mention of the bot in the same channel asks on."""
    await server.enter_guild()
    await server.slash("ask", question=CONFIRMED, within=in_server(ANN))
    await server.call(ending="/callback")
    await server.call()
    await server.guild_message(f"<@{BOT['id']}> which line?")
    assert "Line 3 of" in (await server.call(ending="/messages")).body["content"]
