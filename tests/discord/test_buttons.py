"""Buttons: what they do, for whom, after a restart, and where their story or fact is gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.story.table import Fact, FactTable
from bot.surfaces.discord.buttons import GONE, NOT_YOURS, OUTDATED, UNKNOWN_STORY, short
from bot.surfaces.discord.client import SourcelineBot
from bot.surfaces.discord.pages import Page, fact_page
from tests.discord.conftest import Clock
from tests.discord.loopback import ANN, BOB, BOT, CHANNEL, DM, EPHEMERAL, FakeDiscord, in_group, in_pair, in_server

CONFIRMED = "When did North Korea confirm the deployment?"
STORY = short("north-korea-troops")


def labels(body: dict[str, Any]) -> list[str]:
    """The words on a message's buttons."""
    return [button["label"] for row in body.get("components") or [] for button in row["components"]]


def custom_id(body: dict[str, Any], label: str) -> str:
    """What the button of that label does."""
    rows = body.get("components") or []
    return next(str(b["custom_id"]) for row in rows for b in row["components"] if b["label"] == label)


def row(number: str) -> list[dict[str, Any]]:
    """A message's components with one button."""
    return [{"type": 1, "components": [{"type": 2, "style": 2, "label": "x", "custom_id": number}]}]


async def answered(server: FakeDiscord) -> tuple[dict[str, Any], str]:
    """A mention's answer: its body and its number."""
    await server.enter_guild()
    await server.guild_message(f"<@{BOT['id']}> {CONFIRMED}")
    body = (await server.call(ending=f"/channels/{CHANNEL}/messages")).body
    return body, list(server.messages)[-1]


async def test_not_what_i_asked_offers_the_next_candidates_to_the_asker(
    server: FakeDiscord, bot: SourcelineBot
) -> None:
    """Only the asker sees them; the fact that was answered is not among them."""
    body, number = await answered(server)
    assert labels(body) == ["Show context", "Not what I asked"]
    chosen = custom_id(body, "Not what I asked")
    await server.press(chosen, body["components"], on=number, within=in_server())
    assert (await server.call(ending="/callback")).flags & EPHEMERAL
    offered = (await server.call()).body
    assert offered["content"].startswith("Did you mean:")
    assert 1 < len(labels(offered)) <= 3
    assert chosen.split(":")[3] not in [custom_id(offered, label).split(":")[3] for label in labels(offered)]


async def test_a_stranger_is_refused_kindly(server: FakeDiscord, bot: SourcelineBot) -> None:
    """A personal button of somebody else says so in private."""
    body, number = await answered(server)
    chosen = custom_id(body, "Not what I asked")
    await server.press(chosen, body["components"], on=number, within=in_server(BOB))
    shown = await server.call(ending="/callback")
    assert shown.body["data"]["content"] == NOT_YOURS
    assert shown.flags & EPHEMERAL


async def test_anybody_may_see_the_context_in_private(server: FakeDiscord, bot: SourcelineBot) -> None:
    """The context is no secret, and does not fill the channel."""
    body, number = await answered(server)
    await server.press(custom_id(body, "Show context"), body["components"], on=number, within=in_server(BOB))
    shown = await server.call(ending="/callback")
    assert shown.flags & EPHEMERAL
    assert "Line 3: **" in shown.body["data"]["content"]


async def test_buttons_of_an_earlier_process_work(server: FakeDiscord, bot: SourcelineBot) -> None:
    """What this process never sent is understood from the button alone; the forgotten question costs nothing."""
    fact = bot.desk.responder().story.table.facts[4]
    for act, expected in (("fact", "**"), ("line", f"Line {fact.line}: **")):
        number = f"sl:{act}:{STORY}:{short(fact.id)}"
        await server.press(number, row(number))
        assert expected in (await server.call(ending="/callback")).body["data"]["content"]
    number = f"sl:other:{STORY}:{short(fact.id)}:{ANN['id']}"
    await server.press(number, row(number))
    await server.call(ending="/callback")
    assert (await server.call()).body["content"].startswith("Did you mean:")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("sl:fact:0000000000:0000000000", UNKNOWN_STORY),
        ("sl:line:0000000000:0000000000", UNKNOWN_STORY),
        (f"sl:fact:{STORY}:0000000000", GONE),
        (f"sl:line:{STORY}:0000000000", GONE),
        (f"sl:other:{STORY}:0000000000:{ANN['id']}", GONE),
        (f"sl:other:0000000000:0000000000:{ANN['id']}", UNKNOWN_STORY),
        ("sl:page:0000000000:line:2:n", UNKNOWN_STORY),
    ],
)
@pytest.mark.parametrize("within", [{}, in_server(), in_group()], ids=["direct", "server", "group"])
async def test_what_is_gone_is_said_kindly(
    server: FakeDiscord, bot: SourcelineBot, number: str, said: str, within: dict[str, Any]
) -> None:
    """A story that left the library, a fact that left the table."""
    await server.press(number, row(number), within=within)
    shown = await server.call(ending="/callback")
    assert shown.body["data"]["content"] == said
    assert shown.flags & EPHEMERAL


async def test_a_suggestion_s_button_answers_and_can_be_followed_up(server: FakeDiscord, bot: SourcelineBot) -> None:
    """In a direct message the answer stays, and `which line?` is asked of it."""
    fact = next(f for f in bot.desk.responder().story.table.facts if f.line > 3)
    number = f"sl:fact:{STORY}:{short(fact.id)}"
    await server.press(number, row(number))
    shown = await server.call(ending="/callback")
    assert not shown.flags & EPHEMERAL
    await server.dm("which line?")
    call = await server.call(ending=f"/channels/{DM}/messages")
    assert f"Line {fact.line} of" in call.body["content"]


@pytest.mark.parametrize("number", ["sl:old:1", f"sl:fact:{STORY}", "sl:page:x:line:99999:n", "", "x" * 100])
@pytest.mark.parametrize("within", [{}, in_server(), in_group()], ids=["direct", "server", "group"])
async def test_a_button_that_nobody_knows_says_so_kindly(
    server: FakeDiscord, bot: SourcelineBot, number: str, within: dict[str, Any]
) -> None:
    """A custom_id of another version, or a damaged one: a private line, not Discord's own failure."""
    await server.press(number, row(number), within=within)
    shown = await server.call(ending="/callback")
    assert shown.body["data"]["content"] == OUTDATED
    assert shown.flags & EPHEMERAL


@pytest.mark.parametrize(
    ("within", "hidden"),
    [({}, False), (in_server(), True), (in_server(installed=False), True), (in_group(), True), (in_pair(), True)],
    ids=["direct", "server", "user install", "group", "two people"],
)
@pytest.mark.parametrize("act", ["fact", "line", "other"])
async def test_a_press_is_shown_to_the_reader_alone_where_others_read_along(
    server: FakeDiscord, bot: SourcelineBot, act: str, within: dict[str, Any], hidden: bool
) -> None:
    """Two people's own direct messages are no conversation with the bot, though they are the same kind of channel."""
    fact = bot.desk.responder().story.table.facts[4]
    number = f"sl:{act}:{STORY}:{short(fact.id)}" + (f":{ANN['id']}" if act == "other" else "")
    await server.press(number, row(number), within=within)
    first = await server.call(ending="/callback")
    assert bool(first.flags & EPHEMERAL) is hidden
    shown = (await server.call()).body if act == "other" else first.body["data"]
    assert shown["allowed_mentions"]["parse"] == []
    assert shown["content"]


async def test_replies_to_presses_are_counted(server: FakeDiscord, bot: SourcelineBot) -> None:
    """An answer and other questions are replies; a line's neighbours are none."""
    fact = bot.desk.responder().story.table.facts[4]
    for number in (
        f"sl:fact:{STORY}:{short(fact.id)}",
        f"sl:other:{STORY}:{short(fact.id)}:{ANN['id']}",
        f"sl:line:{STORY}:{short(fact.id)}",
    ):
        await server.press(number, row(number))
        await server.call(ending="/callback")
    await bot.close()
    assert {kind: n for kind, n in bot.desk.metrics.replies.items() if n} == {"answer": 1, "did_you_mean": 1}


@pytest.mark.parametrize("by", ["topic", "line", "kind"])
@pytest.mark.parametrize("within", [{}, in_server(), in_group()], ids=["direct", "server", "group"])
async def test_facts_are_turned_page_by_page(
    server: FakeDiscord, bot: SourcelineBot, by: str, within: dict[str, Any]
) -> None:
    """Next and previous change the same message; the first and the last page have one button."""
    await server.slash("facts", by=by, within=within)
    first = (await server.call(ending="/callback")).body["data"]
    assert labels(first) == ["Next page"]
    await server.press(custom_id(first, "Next page"), first["components"], within=within)
    turned = (await server.call(ending="/callback")).body
    assert turned["type"] == 7
    assert "page 2 of" in turned["data"]["content"]
    assert labels(turned["data"]) == ["Previous page", "Next page"]
    await server.press(custom_id(turned["data"], "Previous page"), turned["data"]["components"], within=within)
    assert (await server.call(ending="/callback")).body["data"]["content"] == first["content"]


@pytest.mark.parametrize("by", ["topic", "line", "kind"])
def test_all_facts_stand_on_the_pages(seed_responder: Any, by: Any) -> None:
    """Every fact once, no page beyond Discord's limit."""
    table = seed_responder.story.table
    pages = [fact_page(table, by, number).text for number in range(1, fact_page(table, by, 1).of + 1)]
    assert sum(line.startswith("- ") for page in pages for line in page.splitlines()) == len(table.facts)
    assert max(map(len, pages)) <= 2000


def test_facts_are_told_by_the_topic_that_they_alone_are_about() -> None:
    """By the rarest of the names that they hold, under any of its words; topics stand as the story comes to them."""
    facts = tuple(
        Fact(f"f{line}", "who", answer, line, answer, (question,))
        for line, question, answer in (
            (1, "What happened in Oslo?", "Ann met the NK delegation"),
            (2, "Who met Ann?", "Bob"),
            (3, "When?", "In May"),
            (4, "Who is in NKVD?", "Ann"),
            (5, "Who spoke?", "Ann"),
        )
    )
    names = {"Ann": (), "North Korea": ("NK",)}
    table = FactTable("A *meeting*", "a.txt", "", facts, names=names)
    assert fact_page(table, "topic", 2) == Page(
        "What “A \\*meeting\\*” says, page 1 of 1\n"
        "**North Korea**\n- What happened in Oslo? Ann met the NK delegation (line 1)\n"
        "**Ann**\n- Who met Ann? Bob (line 2)\n- Who is in NKVD? Ann (line 4)\n- Who spoke? Ann (line 5)\n"
        "**Everything else**\n- When? In May (line 3)",
        number=1,
        of=1,
    )
    assert fact_page(replace(table, names={}), "topic", 1).text.startswith(
        "What “A \\*meeting\\*” says, page 1 of 1\n**Line 1**\n"
    )


async def test_a_failing_button_says_so_in_one_line(
    server: FakeDiscord, bot: SourcelineBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error behind a button reaches the reader as a sentence with a reference."""
    monkeypatch.setattr(bot.desk, "library", None)
    number = f"sl:fact:{STORY}:0000000000"
    await server.press(number, row(number))
    shown = await server.call(ending="/callback")
    assert shown.body["data"]["content"].startswith("Something went wrong here (reference ")


async def test_an_old_answer_is_forgotten_but_its_button_works(
    server: FakeDiscord, bot: SourcelineBot, clock: Clock
) -> None:
    """After a quarter of an hour the question is gone from memory; the fact's own question stands in."""
    body, number = await answered(server)
    clock.now += 901
    await server.press(custom_id(body, "Not what I asked"), body["components"], on=number, within=in_server())
    await server.call(ending="/callback")
    assert (await server.call()).body["content"].startswith("Did you mean:")
