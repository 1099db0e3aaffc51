"""The bot at the wire: what it registers, hears, answers, and leaves alone."""

from __future__ import annotations

from typing import Any

import discord
import pytest

from bot.surfaces.discord.client import SourcelineBot
from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.library import Library
from bot.surfaces.discord.manners import READER_MESSAGES as COOLDOWN_MESSAGES
from bot.surfaces.discord.manners import SLOW_DOWN
from tests.discord.loopback import ANN, BOT, CHANNEL, DM, EPHEMERAL, SUPPRESS_EMBEDS, TOKEN, Call, FakeDiscord

CONFIRMED = "When did North Korea confirm the deployment?"
COMMANDS = {"ask", "facts", "line", "story", "help", "privacy", "forget-me", "Check against the story", "setup"}


async def reply_in(server: FakeDiscord, channel: str) -> Call:
    """The next message that the bot sends to a channel."""
    return await server.call(ending=f"/channels/{channel}/messages")


def buttons_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The buttons under a sent message."""
    return [button for row in body.get("components") or [] for button in row["components"]]


async def test_login_identifies_with_the_three_intents_that_it_needs(server: FakeDiscord, bot: SourcelineBot) -> None:
    """Guilds, guild messages and direct messages are asked for, and no privileged intent."""
    wanted = discord.Intents(guilds=True, guild_messages=True, dm_messages=True)
    assert server.identify["intents"] == wanted.value
    assert server.identify["token"] == TOKEN


async def test_commands_are_synced_for_servers_and_accounts(server: FakeDiscord, bot: SourcelineBot) -> None:
    """Every command is published, usable in servers, direct messages and on an account's own install."""
    sync = await server.call(ending="/applications/1000/commands", method="PUT")
    assert {command["name"] for command in sync.body} == COMMANDS
    for command in sync.body:
        if command["name"] == "setup":
            assert command["integration_types"] == [0]
            assert command["contexts"] == [0]
            assert int(command["default_member_permissions"]) == discord.Permissions(manage_guild=True).value
            continue
        assert command["integration_types"] == [0, 1], command["name"]
        assert command["contexts"] == [0, 1, 2], command["name"]


async def test_a_direct_message_gets_the_answer_and_the_line(server: FakeDiscord, bot: SourcelineBot) -> None:
    """The answer stands first, the source line behind it as a quotation with its number, and nobody is pinged."""
    await server.dm(CONFIRMED)
    call = await reply_in(server, DM)
    head, quotation, source = call.body["content"].split("\n")[:3]
    assert "April 28" in head
    assert quotation.startswith("> ")
    assert quotation.replace("*", "").startswith("> North Korea on April 28 officially confirmed")
    assert source.startswith("-# Line 3 of ")
    assert call.body["allowed_mentions"]["parse"] == []
    assert call.flags == SUPPRESS_EMBEDS
    assert "message_reference" not in call.body


async def test_a_mention_in_a_server_is_answered_as_a_reply(server: FakeDiscord, bot: SourcelineBot) -> None:
    """A mention gets its answer as a reply to the message."""
    await server.enter_guild()
    await server.guild_message(f"<@{BOT['id']}> {CONFIRMED}")
    call = await reply_in(server, CHANNEL)
    assert "April 28" in call.body["content"]
    assert int(call.body["message_reference"]["channel_id"]) == int(CHANNEL)


@pytest.mark.parametrize(
    "silent",
    [
        {"author": {**ANN, "id": "2001", "bot": True}},
        {"author": BOT},
        {"webhook_id": "12"},
        {"type": 7},
    ],
    ids=["another bot", "itself", "a webhook", "a join notice"],
)
async def test_the_bot_stays_silent(server: FakeDiscord, bot: SourcelineBot, silent: dict[str, Any]) -> None:
    """Bots, itself, webhooks and system messages get no answer: the next call belongs to the next reader."""
    await server.dm("who are you", **silent)
    await server.dm(CONFIRMED)
    assert "April 28" in (await reply_in(server, DM)).body["content"]


async def test_everyone_and_unaddressed_messages_are_left_alone(server: FakeDiscord, bot: SourcelineBot) -> None:
    """A message to @everyone, or to nobody, gets no answer in a server."""
    await server.enter_guild()
    await server.guild_message("@everyone who are you", mention_everyone=True)
    await server.guild_message("who are you")
    await server.guild_message(f"<@{BOT['id']}> {CONFIRMED}")
    assert "April 28" in (await reply_in(server, CHANNEL)).body["content"]


async def test_a_slash_question_is_deferred_and_answered(server: FakeDiscord, bot: SourcelineBot) -> None:
    """The interaction is acknowledged at once, and the answer follows."""
    await server.slash("ask", question=CONFIRMED)
    acknowledged = await server.call(ending="/callback")
    assert acknowledged.body["type"] == 5
    answer = await server.call()
    assert answer.path.startswith("/webhooks/1000/")
    assert "April 28" in answer.body["content"]
    assert [button["label"] for button in buttons_of(answer.body)] == ["Show context", "Not what I asked"]


async def test_a_private_slash_question_is_ephemeral(server: FakeDiscord, bot: SourcelineBot) -> None:
    """private:True makes the deferral, and so the answer, visible to the asker alone."""
    await server.slash("ask", question=CONFIRMED, private=True)
    acknowledged = await server.call(ending="/callback")
    assert acknowledged.body["data"]["flags"] & 64


async def test_autocomplete_offers_the_table_s_questions(server: FakeDiscord, bot: SourcelineBot) -> None:
    """At most 25 choices of at most 100 characters, the best match first."""
    await server.autocomplete("ask", "question", "Kursk")
    choices = (await server.call(ending="/callback")).body["data"]["choices"]
    assert 0 < len(choices) <= 25
    assert all(len(choice["name"]) <= 100 and choice["name"] == choice["value"] for choice in choices)
    assert "kursk" in choices[0]["name"].lower()


async def test_an_answer_s_button_shows_the_line_after_a_restart(
    server: FakeDiscord, bot: SourcelineBot, library: Library
) -> None:
    """A button of a message that this process never sent works: its custom_id says all."""
    await server.dm(CONFIRMED)
    sent = await reply_in(server, DM)
    button = buttons_of(sent.body)[0]
    await server.press(button["custom_id"], sent.body["components"])
    shown = await server.call(ending="/callback")
    assert shown.body["type"] == 4
    assert shown.flags & EPHEMERAL == 0, "in a conversation of two nothing needs hiding"
    assert "Line 3: **North Korea on April 28" in shown.body["data"]["content"]


async def test_a_button_of_a_story_that_is_gone_says_so(server: FakeDiscord, bot: SourcelineBot) -> None:
    """A button whose story left the library gets one kind sentence."""
    custom_id = "sl:fact:0000000000:0000000000"
    row = {"type": 1, "components": [{"type": 2, "style": 2, "label": "x", "custom_id": custom_id}]}
    await server.press(custom_id, [row])
    shown = await server.call(ending="/callback")
    assert shown.body["data"]["content"] == "That story is no longer here: please ask about another one."


async def test_the_context_menu_checks_a_message_in_private(server: FakeDiscord, bot: SourcelineBot) -> None:
    """The message command answers only the one who asked, about the chosen message's text."""
    message = server.message(CONFIRMED, ANN)
    data = {
        "id": "9", "name": "Check against the story", "type": 3, "target_id": message["id"],
        "resolved": {"messages": {message["id"]: message}},
    }  # fmt: skip
    await server.interact(2, data)
    deferred = await server.call(ending="/callback")
    assert deferred.flags & EPHEMERAL
    shown = await server.call()
    assert "April 28" in shown.body["content"]


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("line", {"number": 3}, "Line 3: **North Korea on April 28"),
        ("line", {"number": 2}, "The story has no text on line 2: it has lines 1 to 21."),
        ("story", {}, "**North Korea confirms it sent troops to Russia**"),
        ("facts", {"page": 100}, " says, page "),
        ("facts", {"by": "line"}, "**Line 1**"),
        ("help", {}, "I answer questions about the story"),
        ("privacy", {}, "Nothing you write goes to a log or to disk"),
        ("forget-me", {}, "Done: I have forgotten our conversation."),
    ],
)
async def test_browsing_commands_answer_in_private(
    server: FakeDiscord, bot: SourcelineBot, name: str, options: dict[str, Any], expected: str
) -> None:
    """Each command answers at once, to the asker alone, within Discord's limit."""
    await server.slash(name, **options)
    shown = await server.call(ending="/callback")
    assert expected in shown.body["data"]["content"]
    assert len(shown.body["data"]["content"]) <= 2000
    assert shown.body["data"]["flags"] & 64


async def test_a_flood_gets_one_notice_and_then_silence(server: FakeDiscord, bot: SourcelineBot) -> None:
    """Messages beyond the cooldown get one notice, further ones nothing; another reader is served."""
    for _ in range(COOLDOWN_MESSAGES + 3):
        await server.dm("hello")
    await server.dm("hello", {**ANN, "id": "2002"})
    sent = [(await reply_in(server, DM)).body["content"] for _ in range(COOLDOWN_MESSAGES + 2)]
    assert sent.count(SLOW_DOWN) == 1
    assert len([text for text in sent if text.startswith("Hello!")]) == COOLDOWN_MESSAGES + 1


async def test_an_error_in_a_command_is_one_ephemeral_line(
    server: FakeDiscord, bot: SourcelineBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader sees a sentence with a reference, never a traceback."""
    monkeypatch.setattr(bot.desk, "library", None)
    await server.slash("story")
    shown = await server.call(ending="/callback")
    assert shown.body["data"]["content"].startswith("Something went wrong here (reference ")
    assert shown.body["data"]["flags"] & 64


async def test_a_wrong_token_is_refused_at_login(server: FakeDiscord, library: Library) -> None:
    """A token that Discord does not know ends the login with LoginFailure."""
    async with SourcelineBot(Desk(library)) as client:
        with pytest.raises(discord.LoginFailure):
            await client.start("wrong")


async def test_readers_markdown_and_mentions_cannot_break_a_reply(server: FakeDiscord, bot: SourcelineBot) -> None:
    """Text full of markup gets a reply within the limits that pings nobody and repeats none of it."""
    await server.dm("**@everyone** <@2000> ```py\nprint()``` [x](http://x) " + "> " * 900)
    call = await reply_in(server, DM)
    assert 0 < len(call.body["content"]) <= 2000
    assert call.body["allowed_mentions"]["parse"] == []
    assert not [part for part in ("everyone", "2000", "print", "http", "`", "> >") if part in call.body["content"]]
