"""Messages in servers and direct ones: replies, edits, deletions, cooldowns, and when the bot is silent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.answering.conversation import Turn
from bot.answering.matcher import Models
from bot.answering.responder import Exchange, build_responder
from bot.story.library import load_story
from bot.surfaces.discord.buttons import short
from bot.surfaces.discord.client import SourcelineBot
from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.hearing import ONLY_MY_ROLE, UNREADABLE, looks_like_question
from bot.surfaces.discord.library import Library
from bot.surfaces.discord.manners import (
    CHANNEL_MESSAGES,
    CHANNEL_SECONDS,
    READER_MESSAGES,
    READER_SECONDS,
    SLOW_DOWN,
    Cooldown,
    Pace,
)
from bot.surfaces.discord.sqlite_store import SqliteStore
from tests.conftest import WHEN_CONFIRMED
from tests.discord.conftest import Clock, connected
from tests.discord.loopback import (
    ANN,
    BOB,
    BOT,
    CHANNEL,
    DM,
    EPHEMERAL,
    GUILD,
    MESSAGE_CONTENT,
    QUIET,
    ROLE,
    THREAD,
    FakeDiscord,
    in_server,
    thread,
)

ORDERED = "Who ordered the deployment?"
CONFIRMED = "When did North Korea confirm the deployment?"
ME = f"<@{BOT['id']}>"
IN_CHANNEL, IN_DM = f"/channels/{CHANNEL}/messages", f"/channels/{DM}/messages"


async def said(server: FakeDiscord, ending: str) -> str:
    """The text of the next message that the bot sends there."""
    text: str = (await server.call(ending=ending, method="POST")).body["content"]
    return text


async def mention(server: FakeDiscord, text: str = CONFIRMED) -> tuple[dict[str, Any], dict[str, Any]]:
    """A question by mention and the bot's answer to it, as messages."""
    question = await server.guild_message(f"{ME} {text}")
    await server.call(ending=IN_CHANNEL)
    return question, list(server.messages.values())[-1]


async def test_a_reply_to_the_bot_is_a_follow_up_of_that_answer(server: FakeDiscord, bot: SourcelineBot) -> None:
    """Somebody else who replies to an answer asks on from there, not from an own conversation."""
    await server.enter_guild()
    _, answer = await mention(server)
    await server.reply(answer, "which line?", BOB)
    assert "Line 3 of" in await said(server, IN_CHANNEL)


async def test_a_reply_that_does_not_ping_is_a_follow_up_where_its_text_can_be_read(
    server: FakeDiscord, library: Library, clock: Clock
) -> None:
    """With the message-content intent a reply without a ping is read and answered."""
    async with connected(server, Desk(library, clock=clock, message_content=True)):
        assert server.identify["intents"] & MESSAGE_CONTENT
        await server.enter_guild()
        _, answer = await mention(server)
        await server.reply(answer, "which line?", ping=False)
        assert "Line 3 of" in await said(server, IN_CHANNEL)


async def test_a_reply_that_cannot_be_read_gets_one_hint(server: FakeDiscord, bot: SourcelineBot) -> None:
    """Without the intent Discord blanks such a reply: the reader is told so once."""
    await server.enter_guild()
    _, answer = await mention(server)
    await server.reply(answer, "which line?", ping=False)
    await server.reply(answer, "hello?", ping=False)
    assert await said(server, IN_CHANNEL) == UNREADABLE
    await mention(server)
    assert server.calls.empty()


async def test_a_reply_whose_text_is_blanked_though_it_pings_gets_the_hint(
    server: FakeDiscord, bot: SourcelineBot
) -> None:
    """As Discord does with replies to a command's answer; a picture alone is no such reply."""
    await server.enter_guild()
    _, answer = await mention(server)
    await server.reply(answer, "", BOB)
    assert await said(server, IN_CHANNEL) == UNREADABLE
    picture = {"id": "1", "filename": "a.png", "size": 1, "url": "http://x/a.png", "proxy_url": "http://x/a.png"}
    extra: dict[str, Any] = {"mentions": [dict(BOT)], "attachments": [picture]}
    await server.guild_message("", **extra)
    assert (await said(server, IN_CHANNEL)).startswith("Ask me a question")


@pytest.mark.parametrize(
    ("readable", "text", "expected"),
    [
        (True, f"<@&{ROLE}> {CONFIRMED}", f"**{WHEN_CONFIRMED}**"),
        (True, f"<@&{ROLE}>", "Ask me a question"),
        (False, f"<@&{ROLE}> {CONFIRMED}", ONLY_MY_ROLE),
        (False, f"<@&{ROLE}> {ME} {CONFIRMED}", f"**{WHEN_CONFIRMED}**"),
    ],
)
async def test_a_mention_of_the_bot_s_own_role_is_one_of_the_bot(
    server: FakeDiscord, library: Library, clock: Clock, readable: bool, text: str, expected: str
) -> None:
    """The two look alike to a reader; without the intent Discord blanks what mentions the role alone."""
    async with connected(server, Desk(library, clock=clock, message_content=readable)):
        await server.enter_guild()
        await server.guild_message(text, mention_roles=[ROLE])
        assert (await said(server, IN_CHANNEL)).startswith(expected)


async def test_a_mention_of_another_role_is_left_alone(server: FakeDiscord, bot: SourcelineBot) -> None:
    """Everybody's, here, as any role that people have."""
    await server.enter_guild()
    await server.guild_message(f"<@&{GUILD}> hello", mention_roles=[GUILD])
    await server.guild_message(f"{ME} {CONFIRMED}")
    assert "April 28" in await said(server, IN_CHANNEL)


async def test_a_direct_message_follows_up_the_one_before(server: FakeDiscord, bot: SourcelineBot) -> None:
    """A conversation keeps what was asked."""
    await server.dm(CONFIRMED)
    assert "April 28" in await said(server, IN_DM)
    await server.dm("which line?")
    assert "Line 3 of" in await said(server, IN_DM)


async def test_an_edited_question_updates_its_answer(server: FakeDiscord, bot: SourcelineBot) -> None:
    """Within a minute the answer is changed in its place, in direct messages as in servers."""
    question = await server.dm("hello")
    assert (await said(server, IN_DM)).startswith("Hello!")
    await server.edit(question, CONFIRMED)
    edited = await server.call(method="PATCH")
    assert edited.path.startswith(f"/channels/{DM}/messages/")
    assert "April 28" in edited.body["content"]
    assert edited.body["allowed_mentions"]["parse"] == []


async def test_an_edit_that_changes_no_word_or_comes_late_changes_nothing(
    server: FakeDiscord, bot: SourcelineBot, clock: Clock
) -> None:
    """A link's preview is an edit too; and after a minute an answer stands."""
    question = await server.dm("hello")
    await said(server, IN_DM)
    await server.edit(question, "hello")
    clock.now += 61
    await server.edit(question, CONFIRMED)
    await server.dm("thanks")
    call = await server.call()
    assert (call.method, call.path) == ("POST", IN_DM)


async def heard_by_now(server: FakeDiscord) -> None:
    """Everything that was sent to the bot before has reached it: events keep their order."""
    await server.slash("help", within={"user": BOB})
    await server.call(ending="/callback")


async def test_a_question_edited_while_it_waits_gets_the_answer_to_what_it_says_now(
    server: FakeDiscord, bot: SourcelineBot
) -> None:
    """The one before is still being sent; the edit is not lost, and comes behind the answer."""
    held = server.hold()
    await server.dm("thanks")
    await server.call(ending=IN_DM)
    question = await server.dm("hello")
    await server.edit(question, CONFIRMED)
    await heard_by_now(server)
    held.set()
    answer, edited = await server.call(), await server.call()
    assert (answer.method, answer.body["content"][:6]) == ("POST", "Hello!")
    assert edited.method == "PATCH"
    assert "April 28" in edited.body["content"]


async def test_a_question_deleted_while_it_waits_gets_no_answer(server: FakeDiscord, bot: SourcelineBot) -> None:
    """Nothing is sent for it, not even to be taken back."""
    await server.enter_guild()
    held = server.hold()
    await server.guild_message(f"{ME} thanks")
    await server.call(ending=IN_CHANNEL)
    question = await server.guild_message(f"{ME} hello")
    await server.delete(question)
    await heard_by_now(server)
    held.set()
    await server.guild_message(f"{ME} bye")
    assert (await server.call()).body["content"].startswith("Goodbye!")


async def test_an_edited_question_does_not_take_the_place_of_a_later_one(
    server: FakeDiscord, bot: SourcelineBot
) -> None:
    """The next message follows up what was asked last."""
    first = await server.dm("hello")
    await said(server, IN_DM)
    await server.dm(ORDERED)
    assert "Line 11 of" in await said(server, IN_DM)
    await server.edit(first, CONFIRMED)
    assert "Line 3 of" in (await server.call(method="PATCH")).body["content"]
    await server.dm("which line?")
    assert "Line 11 of" in await said(server, IN_DM)


async def test_edits_count_as_questions(server: FakeDiscord, bot: SourcelineBot) -> None:
    """Beyond the cooldown an edit changes nothing, and a question gets its one notice still."""
    question = await server.dm("hello")
    await said(server, IN_DM)
    for turn in range(READER_MESSAGES + 2):
        await server.edit(question, "thanks" if turn % 2 else "bye")
    await server.dm("hello")
    got = [await server.call() for _ in range(READER_MESSAGES)]
    assert [call.method for call in got] == ["PATCH"] * (READER_MESSAGES - 1) + ["POST"]
    assert got[-1].body["content"] == SLOW_DOWN


async def test_a_deleted_question_takes_its_answer_along(server: FakeDiscord, bot: SourcelineBot) -> None:
    """In a server the answer to a deleted mention is deleted; in a direct message it stays."""
    await server.enter_guild()
    direct = await server.dm("hello")
    await said(server, IN_DM)
    await server.delete(direct)
    question, answer = await mention(server)
    await server.delete(question)
    deleted = await server.call(method="DELETE")
    assert deleted.path == f"{IN_CHANNEL}/{answer['id']}"


async def test_a_question_deleted_while_it_is_answered_leaves_no_answer(
    server: FakeDiscord, bot: SourcelineBot
) -> None:
    """The deletion comes between the question and the sending of its answer: the answer is taken back."""
    await server.enter_guild()
    held = server.hold()
    question = await server.guild_message(f"{ME} hello")
    await server.call(ending=IN_CHANNEL, method="POST")
    await server.delete(question)
    await server.guild_message(f"{ME} hello", BOB)
    held.set()
    assert (await server.call(method="DELETE")).path.startswith(IN_CHANNEL)


async def test_messages_deleted_in_bulk_take_their_answers_along(server: FakeDiscord, bot: SourcelineBot) -> None:
    """A moderator's purge removes answers too."""
    await server.enter_guild()
    question, answer = await mention(server)
    await server.push("MESSAGE_DELETE_BULK", {"ids": [question["id"]], "channel_id": CHANNEL, "guild_id": GUILD})
    assert (await server.call(method="DELETE")).path.endswith(answer["id"])


async def test_nothing_is_said_to_everyone_webhooks_or_bots_in_a_server(
    server: FakeDiscord, bot: SourcelineBot
) -> None:
    """Even where the bot is mentioned along with everyone."""
    await server.enter_guild()
    await server.guild_message(f"@everyone {ME} hello", mention_everyone=True)
    await server.guild_message(f"{ME} hello", webhook_id="12")
    await server.guild_message(f"{ME} hello", {**BOB, "bot": True})
    await server.guild_message(f"{ME} {CONFIRMED}")
    assert "April 28" in await said(server, IN_CHANNEL)


async def test_a_reader_gets_one_notice_an_episode(server: FakeDiscord, bot: SourcelineBot, clock: Clock) -> None:
    """After the notice there is silence until the reader has been quiet; then answers, and a new notice."""
    for _ in range(2):
        for _ in range(READER_MESSAGES + 3):
            await server.dm("hello")
        told = [await said(server, IN_DM) for _ in range(READER_MESSAGES + 1)]
        assert told.count(SLOW_DOWN) == 1
        assert told[-1] == SLOW_DOWN
        await server.dm("hello", BOB, channel_id="3001")
        assert (await said(server, "/channels/3001/messages")).startswith("Hello!")
        clock.now += READER_SECONDS + 1


async def test_a_busy_channel_gets_one_notice(server: FakeDiscord, bot: SourcelineBot, clock: Clock) -> None:
    """Many readers in one channel share its pace."""
    await server.enter_guild()
    readers = [{**ANN, "id": str(9000 + n)} for n in range(CHANNEL_MESSAGES + 3)]
    for reader in readers:
        await server.guild_message(f"{ME} hello", reader)
    told = [await said(server, IN_CHANNEL) for _ in range(CHANNEL_MESSAGES + 1)]
    assert told.count(SLOW_DOWN) == 1
    clock.now += CHANNEL_SECONDS + 1
    await server.guild_message(f"{ME} hello", BOB)
    assert (await said(server, IN_CHANNEL)).startswith("Hello!")


async def test_beyond_the_cooldown_commands_and_buttons_get_one_private_line(
    server: FakeDiscord, bot: SourcelineBot, clock: Clock
) -> None:
    """An interaction without any answer looks broken; what only has to be looked up is free."""
    for _ in range(READER_MESSAGES):
        await server.slash("ask", question="hello", within=in_server())
        await server.call(ending="/callback")
        await server.call()
    fact = short(bot.desk.responder().story.table.facts[4].id)
    story = short(bot.desk.library.default)
    other, context = f"sl:other:{story}:{fact}:{ANN['id']}", f"sl:line:{story}:{fact}"
    message = server.message(CONFIRMED, BOB)
    check = {
        "id": "9", "name": "Check against the story", "type": 3, "target_id": message["id"],
        "resolved": {"messages": {message["id"]: message}},
    }  # fmt: skip
    await server.slash("ask", question="hello", within=in_server())
    await server.interact(2, check, **in_server())
    await server.press(other, [{"type": 1, "components": [{"type": 2, "style": 2, "label": "x", "custom_id": other}]}])
    for _ in range(3):
        told = await server.call(ending="/callback")
        assert (told.body["data"]["content"], told.flags & EPHEMERAL) == (SLOW_DOWN, EPHEMERAL)
    row = [{"type": 1, "components": [{"type": 2, "style": 2, "label": "x", "custom_id": context}]}]
    await server.press(context, row)
    assert "Line " in (await server.call(ending="/callback")).body["data"]["content"]
    clock.now += READER_SECONDS + 1
    await server.slash("ask", question="hello", within=in_server())
    assert (await server.call(ending="/callback")).body["type"] == 5


async def test_public_answers_to_commands_count_in_a_channel(
    server: FakeDiscord, bot: SourcelineBot, clock: Clock
) -> None:
    """Who is one too many is told so alone, and the channel's notice is still to come; private answers are free."""
    await server.enter_guild()
    for reader in range(CHANNEL_MESSAGES + 1):
        await server.slash("ask", question="hello", within=in_server({**ANN, "id": str(9000 + reader)}))
        first = await server.call(ending="/callback")
        if reader < CHANNEL_MESSAGES:
            assert first.body["type"] == 5
            await server.call()
    assert first.body["data"]["content"] == SLOW_DOWN
    assert first.flags & EPHEMERAL
    await server.slash("ask", question="hello", private=True, within=in_server(BOB))
    assert (await server.call(ending="/callback")).body["type"] == 5
    await server.guild_message(f"{ME} hello", {**ANN, "id": "9999"})
    assert await said(server, IN_CHANNEL) == SLOW_DOWN


async def test_where_the_bot_may_not_speak_it_does_not_try(server: FakeDiscord, bot: SourcelineBot) -> None:
    """A mention in a channel that denies sending meets silence, without a request that Discord would count."""
    await server.enter_guild()
    await server.guild_message(f"{ME} hello", channel_id=QUIET)
    await server.guild_message(f"{ME} hello")
    await said(server, IN_CHANNEL)
    assert server.calls.empty()


async def test_a_message_of_an_unknown_server_is_no_direct_message(server: FakeDiscord, bot: SourcelineBot) -> None:
    """It is addressed to nobody, and stays unanswered."""
    await server.guild_message("hello", mentions=[dict(BOB)])
    await server.dm(CONFIRMED)
    assert "April 28" in (await server.call(ending="/messages")).body["content"]


async def test_a_thread_needs_a_permission_of_its_own(server: FakeDiscord, bot: SourcelineBot) -> None:
    """Without it a mention in a thread meets silence, though the channel may be written in."""
    await server.enter_guild()
    await server.push("THREAD_CREATE", thread())
    await server.guild_message(f"{ME} hello", channel_id=THREAD)
    await server.guild_message(f"{ME} {CONFIRMED}")
    assert "April 28" in await said(server, IN_CHANNEL)


async def test_what_is_written_in_an_unknown_thread_is_answered(server: FakeDiscord, bot: SourcelineBot) -> None:
    """The bot came too late to know the thread: it tries."""
    await server.enter_guild()
    await server.guild_message(f"{ME} hello", channel_id=THREAD)
    assert (await said(server, f"/channels/{THREAD}/messages")).startswith("Hello!")


async def test_a_refused_channel_is_left_alone_for_a_while(
    server: FakeDiscord, bot: SourcelineBot, clock: Clock
) -> None:
    """50013 from Discord: silence there, one request in ten minutes, and other channels are served."""
    await server.enter_guild()
    server.fail("POST", IN_CHANNEL, 403, 50013)
    await server.guild_message(f"{ME} hello")
    await server.call(ending=IN_CHANNEL)
    await server.guild_message(f"{ME} hello")
    await server.dm("hello")
    assert (await server.call()).path == IN_DM
    clock.now += 601
    await server.guild_message(f"{ME} hello")
    assert (await said(server, IN_CHANNEL)).startswith("Hello!")


async def test_without_the_right_to_read_the_history_the_answer_is_no_reply(
    server: FakeDiscord, bot: SourcelineBot
) -> None:
    """Discord refuses replies there; a plain message is sent."""
    await server.enter_guild(permissions=1024 + 2048)
    await server.guild_message(f"{ME} hello")
    call = await server.call(ending=IN_CHANNEL)
    assert "message_reference" not in call.body


@pytest.mark.parametrize(("status", "code"), [(404, 10008), (400, 50035)], ids=["unknown message", "unknown reference"])
async def test_a_message_deleted_under_the_reply_is_silence(
    server: FakeDiscord, bot: SourcelineBot, status: int, code: int
) -> None:
    """The question is gone when the answer is sent: nothing more is sent, and the next question is answered."""
    await server.enter_guild()
    server.fail("POST", IN_CHANNEL, status, code)
    await server.guild_message(f"{ME} hello")
    await server.call(ending=IN_CHANNEL)
    await server.guild_message(f"{ME} hello")
    await server.call(ending=IN_CHANNEL)
    assert bot.desk.metrics.failures["undelivered"] == 1
    assert server.calls.empty()


async def test_every_question_is_answered_only_where_moderators_and_the_host_want_it(
    server: FakeDiscord, library: Library, clock: Clock, settings_file: Any
) -> None:
    """In that mode questions are answered; chatter, what is off the story, and talk between people are not."""
    desk = Desk(library, store=SqliteStore(settings_file), clock=clock, message_content=True)
    async with connected(server, desk):
        await server.enter_guild()
        await server.guild_message(CONFIRMED)
        await server.setup("answers", to="questions", channel=CHANNEL)
        await server.call(ending="/callback")
        await server.call()
        await server.guild_message("good morning all")
        await server.guild_message("what is the best pizza in town?")
        await server.reply(server.message(CONFIRMED, BOB), CONFIRMED, ping=False)
        await server.guild_message(CONFIRMED)
        assert "April 28" in await said(server, IN_CHANNEL)
        assert server.calls.empty()


async def test_an_error_is_told_to_those_alone_who_asked_the_bot(
    server: FakeDiscord, library: Library, clock: Clock, settings_file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People who talk to each other do not see it; whoever mentioned the bot gets one line with a reference."""
    desk = Desk(library, store=SqliteStore(settings_file), clock=clock, message_content=True)
    async with connected(server, desk):
        await server.enter_guild()
        await server.setup("answers", to="questions")
        await server.call(ending="/callback")
        await server.call()
        monkeypatch.setattr(desk, "answer", None)
        await server.guild_message(CONFIRMED)
        await server.guild_message(f"{ME} {CONFIRMED}")
        assert (await server.call()).body["content"].startswith("Something went wrong here (reference ")
        assert desk.metrics.failures["error"] == 2


def test_the_notice_is_kept_for_somebody_who_is_told() -> None:
    """What would be silence anyhow neither uses the notice up nor puts it off."""
    cooldown = Cooldown(1, 10.0)
    assert cooldown.pace(1, 0.0) is Pace.GO
    paces = [cooldown.pace(1, now, tells=tells) for now, tells in ((1.0, False), (2.0, True), (3.0, True))]
    assert paces == [Pace.SILENCE, Pace.NOTICE, Pace.SILENCE]


async def test_a_follow_up_stays_with_the_story_that_was_asked_about(
    server: FakeDiscord, library: Library, models: Models, tmp_path: Path, clock: Clock
) -> None:
    """After /ask about another story a remark means that one; a whole question means the story of the place again."""
    article = tmp_path / "bridge.txt"
    article.write_text("The bridge over the Lune opened on May 3, the council said.\n", "utf-8")
    bridge = build_responder(load_story(article), models)
    both = Library({**library.responders, "bridge": bridge}, library.default)
    async with connected(server, Desk(both, clock=clock)):
        await server.slash("ask", question="When did the bridge open?", story="bridge")
        await server.call(ending="/callback")
        assert "May 3" in (await server.call()).body["content"]
        await server.dm("which line?")
        assert "The bridge over the Lune opened on May 3" in await said(server, IN_DM)
        await server.dm(CONFIRMED)
        assert "April 28" in await said(server, IN_DM)


@pytest.mark.parametrize(
    ("text", "asks"),
    [("when was it", True), ("It was?", True), ("", False), ("   ", False), ("Nice story.", False), ("Who, me", True)],
)
def test_what_looks_like_a_question(text: str, asks: bool) -> None:
    """A question mark at the end, or a question word at the beginning."""
    assert looks_like_question(text) is asks


async def test_what_is_old_is_forgotten_without_being_asked(
    server: FakeDiscord, bot: SourcelineBot, clock: Clock
) -> None:
    """After a quarter of an hour nothing of a conversation is in memory, though nobody wrote meanwhile."""
    await server.dm(CONFIRMED)
    await said(server, IN_DM)
    clock.now += 60  # as a button does, or an edit: later than any question
    bot.desk.conversations.remember(f"{ANN['id']}:{DM}", Turn(CONFIRMED, None), clock.now)
    clock.now += 841
    await bot.desk.tidy()
    assert (len(bot.desk.records), len(bot.desk.conversations)) == (0, 1)
    clock.now += 60
    await bot.desk.tidy()
    assert (len(bot.desk.records), len(bot.desk.conversations)) == (0, 0)


async def test_forget_me_clears_conversations_and_records(server: FakeDiscord, bot: SourcelineBot) -> None:
    """After /forget-me nothing of the reader is left in memory."""
    await server.dm(CONFIRMED)
    await said(server, IN_DM)
    await server.dm("hello", BOB, channel_id="3001")
    await said(server, "/3001/messages")
    await server.slash("forget-me")
    await server.call(ending="/callback")
    assert len(bot.desk.records) == 1
    assert bot.desk.conversations.previous(f"{ANN['id']}:{DM}", bot.desk.clock()) is None


async def test_what_is_in_hand_while_a_reader_is_forgotten_is_not_kept(
    server: FakeDiscord, bot: SourcelineBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is sent, and nothing of it stays in memory."""
    true_answer, thinking, go_on = bot.desk.answer, asyncio.Event(), asyncio.Event()

    async def slow(story: str, message: str, previous: Turn | None = None) -> Exchange:
        thinking.set()
        await go_on.wait()
        return await true_answer(story, message, previous)

    monkeypatch.setattr(bot.desk, "answer", slow)
    await server.dm(CONFIRMED)
    await asyncio.wait_for(thinking.wait(), 10)
    await server.slash("forget-me")
    await server.call(ending="/callback")
    go_on.set()
    assert "April 28" in await said(server, IN_DM)
    assert (len(bot.desk.records), len(bot.desk.conversations)) == (0, 0)
