"""/setup: what moderators choose, what it changes, and what happens where the store fails."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from copy import copy
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from bot.answering.matcher import Models
from bot.answering.responder import Responder, build_responder
from bot.story.library import load_story
from bot.surfaces.discord.client import SourcelineBot
from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.library import Library
from bot.surfaces.discord.moderating import NO_CONTENT, NOT_KEPT, NOT_READ
from bot.surfaces.discord.places import NO_SUCH_STORY
from bot.surfaces.discord.preferences import RETRY_S
from bot.surfaces.discord.sqlite_store import SqliteStore
from bot.surfaces.discord.store import Choices
from tests.discord.conftest import Clock, connected
from tests.discord.loopback import (
    BOB,
    BOT,
    CATEGORY,
    CHANNEL,
    EPHEMERAL,
    GUILD,
    IN_THREADS,
    MAY_SPEAK,
    QUIET,
    THREAD,
    FakeDiscord,
    in_server,
    thread,
)

CONFIRMED = "When did North Korea confirm the deployment?"
ME = f"<@{BOT['id']}>"
IN_CHANNEL = f"/channels/{CHANNEL}/messages"
FERRY = "The ferry to Arran was cancelled on Monday because of high winds. It will sail again on Tuesday morning."


@pytest.fixture
def two_stories(seed_responder: Responder, models: Models, tmp_path: Path) -> Library:
    """The seed story, and another that is answered from without a table."""
    path = tmp_path / "arran-ferry.txt"
    path.write_text(FERRY, "utf-8")
    other = build_responder(load_story(path), models)
    name = seed_responder.story.name
    return Library({name: seed_responder, other.story.name: other}, name)


async def told(server: FakeDiscord) -> str:
    """The ephemeral answer to a command."""
    call = await server.call(ending="/callback")
    assert call.flags & EPHEMERAL
    body = call.body["data"] if call.body["type"] == 4 else (await server.call()).body
    assert body["allowed_mentions"]["parse"] == []
    text: str = body["content"]
    return text


async def test_the_story_of_a_server_and_of_a_channel(
    server: FakeDiscord, two_stories: Library, clock: Clock, settings_file: Path
) -> None:
    """A channel's story goes before the server's, and both before the bot's own; commands and mentions follow it."""
    async with connected(server, Desk(two_stories, store=SqliteStore(settings_file), clock=clock)) as bot:
        await server.enter_guild()
        await server.setup("story", story="arran-ferry")
        assert "ferry to Arran" in await told(server)
        await server.slash("story", within=in_server())
        assert "ferry to Arran" in await told(server)
        await server.setup("story", story=bot.desk.library.default, channel=CHANNEL)
        assert f"<#{CHANNEL}>" in await told(server)
        await server.slash("story", within=in_server())
        assert "North Korea" in await told(server)
        await server.slash("story", within=in_server(channel=QUIET))
        assert "ferry to Arran" in await told(server)
        await server.guild_message(f"{ME} who are you")
        assert "North Korea" in (await server.call(ending=IN_CHANNEL)).body["content"]
        await server.autocomplete("ask", "question", "when", within=in_server())
        choices = (await server.call(ending="/callback")).body["data"]["choices"]
        assert any("North Korea" in choice["name"] for choice in choices)


async def test_a_story_is_told_with_all_that_the_table_says_of_it(
    server: FakeDiscord, two_stories: Library, clock: Clock
) -> None:
    """Title, number of facts, date, source, last review; what is not known is said to be."""
    seed = two_stories.responder()
    table = replace(seed.story.table, date="2025-04-28", source="*News*", reviewed="2026-11-01", facts=(), gaps=())
    known = copy(seed)
    known.story = replace(seed.story, table=table)
    library = Library({**two_stories.responders, "known": known}, "known")
    async with connected(server, Desk(library, clock=clock)):
        await server.slash("story")
        assert (await told(server)).splitlines() == [
            "**North Korea confirms it sent troops to Russia**", "0 facts, 0 known gaps", "Date: 2025-04-28",
            "Source: \\*News\\*", "Last review: 2026-11-01",
            "2 more to ask about: see the option story of /ask",
        ]  # fmt: skip
        await server.slash("story", story="arran-ferry")
        assert (await told(server)).splitlines()[2:5] == [
            "Date: not given", "Source: not given", "Last review: none, the facts were drafted by the bot",
        ]  # fmt: skip


async def test_a_story_with_long_values_is_told_within_the_limit(
    server: FakeDiscord, seed_responder: Responder, clock: Clock
) -> None:
    """However much of them must be escaped; what is cut says so."""
    long = "*" * 900
    known = copy(seed_responder)
    table = replace(seed_responder.story.table, title=long, date=long, source=long, reviewed=long)
    known.story = replace(seed_responder.story, table=table)
    async with connected(server, Desk(Library({"known": known}, "known"), clock=clock)):
        await server.slash("story")
        shown = await told(server)
    assert len(shown) <= 2000
    stars = "\\*" * 199 + "…"
    assert shown.splitlines()[2:] == [f"Date: {stars}", f"Source: {stars}", f"Last review: {stars}"]


async def test_the_choice_of_stories_is_completed_by_title(
    server: FakeDiscord, two_stories: Library, clock: Clock, settings_file: Path
) -> None:
    """Every story option completes names and titles; a story that is not there is refused in a line."""
    async with connected(server, Desk(two_stories, store=SqliteStore(settings_file), clock=clock)):
        for name in ("ask", "facts", "line", "story"):
            await server.autocomplete(name, "story", "arran")
            (choice,) = (await server.call(ending="/callback")).body["data"]["choices"]
            assert choice["value"] == "arran-ferry"
        focused = [{"name": "story", "type": 3, "value": "", "focused": True}]
        data = {"id": "9", "name": "setup", "type": 1, "options": [{"name": "story", "type": 1, "options": focused}]}
        await server.interact(4, data, **in_server())
        assert len((await server.call(ending="/callback")).body["data"]["choices"]) == 2
        await server.setup("story", story="no-such")
        assert await told(server) == NO_SUCH_STORY


@pytest.mark.parametrize(
    ("name", "options"), [("ask", {"question": CONFIRMED}), ("facts", {}), ("line", {"number": 1}), ("story", {})]
)
async def test_a_story_can_be_named_and_is_never_taken_for_another(
    server: FakeDiscord, two_stories: Library, clock: Clock, name: str, options: dict[str, Any]
) -> None:
    """By its name or its title, in any case; a reader who typed something else is told so."""
    title = two_stories.responder("arran-ferry").story.title
    async with connected(server, Desk(two_stories, clock=clock)):
        for story in ("Arran-Ferry", f" {title.upper()} "):
            await server.slash(name, story=story, **options)
            call = await server.call(ending="/callback")
            body = call.body["data"] if call.body["type"] == 4 else (await server.call()).body
            assert "April 28" not in body["content"]
            assert body["content"] != NO_SUCH_STORY
        await server.slash(name, story="no-such", **options)
        assert await told(server) == NO_SUCH_STORY


async def test_questions_are_completed_from_the_story_that_was_chosen(
    server: FakeDiscord, two_stories: Library, clock: Clock
) -> None:
    """Not from the one that would hold without it."""
    async with connected(server, Desk(two_stories, clock=clock)):
        options = [
            {"name": "story", "type": 3, "value": "arran-ferry"},
            {"name": "question", "type": 3, "value": "", "focused": True},
        ]
        await server.interact(4, {"id": "9", "name": "ask", "type": 1, "options": options})
        choices = (await server.call(ending="/callback")).body["data"]["choices"]
        asked = two_stories.responder("arran-ferry").story.table.questions
        assert [choice["value"] for choice in choices] == list(asked[:25])


async def test_where_mentions_are_answered(server: FakeDiscord, bot: SourcelineBot) -> None:
    """`nothing` for the server and `mentions` for one channel: answered there, silence elsewhere; commands work."""
    await server.enter_guild(permissions=1024 + 2048 + 65536)
    await server.setup("answers", to="nothing")
    assert "commands still work" in await told(server)
    await server.guild_message(f"{ME} hello")
    await server.setup("answers", to="mentions", channel=CHANNEL)
    assert "I answer mentions" in await told(server)
    await server.guild_message(f"{ME} {CONFIRMED}")
    assert "April 28" in (await server.call(ending=IN_CHANNEL)).body["content"]


@pytest.mark.parametrize("place", [CHANNEL, CATEGORY], ids=["channel", "category"])
async def test_a_thread_goes_by_its_channel_and_a_channel_by_its_category(
    server: FakeDiscord, bot: SourcelineBot, place: str
) -> None:
    """What is chosen for the wider place holds in the thread, until something is chosen for the thread itself."""
    await server.enter_guild(permissions=MAY_SPEAK + IN_THREADS)
    await server.push("THREAD_CREATE", thread())
    await server.setup("answers", to="nothing", channel=place)
    await told(server)
    await server.guild_message(f"{ME} hello", channel_id=THREAD)
    await server.setup("answers", to="mentions", channel=THREAD)
    await told(server)
    await server.guild_message(f"{ME} {CONFIRMED}", channel_id=THREAD)
    assert "April 28" in (await server.call(ending=f"/channels/{THREAD}/messages")).body["content"]
    assert server.calls.empty()


async def test_every_question_needs_the_host(server: FakeDiscord, bot: SourcelineBot) -> None:
    """Without the message-content intent the mode is refused, and nothing changes."""
    await server.setup("answers", to="questions")
    assert await told(server) == NO_CONTENT
    assert await bot.desk.preferences.all(int(GUILD)) == {}


async def test_answers_can_be_private_by_default(server: FakeDiscord, bot: SourcelineBot) -> None:
    """The server's default holds where the reader does not say; the reader's word goes before it."""
    await server.setup("private", private=True)
    assert "the asker alone" in await told(server)
    await server.slash("ask", question=CONFIRMED, within=in_server())
    assert (await server.call(ending="/callback")).flags & EPHEMERAL
    await server.slash("ask", question=CONFIRMED, private=False, within=in_server())
    assert not (await server.call(ending="/callback")).flags & EPHEMERAL


async def test_setup_shows_and_resets(server: FakeDiscord, bot: SourcelineBot, settings_file: Path) -> None:
    """What was chosen is shown by place; reset takes a channel, or all, back to the defaults."""
    await server.setup("private", private=True)
    await told(server)
    await server.setup("answers", to="nothing", channel=CHANNEL)
    await told(server)
    await server.setup("show")
    shown = await told(server)
    assert shown.index("**In this server**") < shown.index("the asker alone") < shown.index(f"**In <#{CHANNEL}>**")
    await server.setup("reset", channel=CHANNEL)
    assert f"<#{CHANNEL}>" in await told(server)
    assert await bot.desk.preferences.all(int(GUILD)) == {0: Choices(private=True)}
    await server.setup("reset")
    assert await told(server) == "Done: the defaults hold in this server."
    with sqlite3.connect(settings_file) as db:
        assert db.execute("SELECT count(*) FROM choices").fetchone() == (0,)
    db.close()


async def test_settings_survive_a_restart_and_leave_with_the_bot(
    server: FakeDiscord, library: Library, clock: Clock, settings_file: Path
) -> None:
    """A new process reads what the old one kept; removal from the server removes the rows."""
    for attempt in range(2):
        async with connected(server, Desk(library, store=SqliteStore(settings_file), clock=clock)) as bot:
            if attempt == 0:
                await server.enter_guild()
                await server.setup("private", private=True)
                await told(server)
                server.guilds = [server.guild()]
            else:
                assert await bot.desk.preferences.all(int(GUILD)) == {0: Choices(private=True)}
                await server.push("GUILD_DELETE", {"id": GUILD})
                await server.slash("help")
                await told(server)
                assert await bot.desk.preferences.all(int(GUILD)) == {}


async def test_a_removal_while_the_bot_is_away_is_made_up_for(
    server: FakeDiscord, library: Library, clock: Clock, settings_file: Path
) -> None:
    """Rows of servers that the gateway no longer lists are removed when the bot is ready."""
    store = SqliteStore(settings_file)
    await store.save(int(GUILD), 0, Choices(private=True))
    await store.save(int(GUILD) + 1, 0, Choices(private=True))
    server.guilds = [server.guild()]
    async with connected(server, Desk(library, store=store, clock=clock)) as bot:
        await asyncio.wait_for(bot.swept.wait(), 10)
        assert await store.servers() == {int(GUILD)}


async def test_another_application_s_settings_are_left_alone(
    server: FakeDiscord, library: Library, clock: Clock, settings_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A second token on the same data knows nothing of the first one's servers: it says what to do."""
    first = SqliteStore(settings_file)
    assert await first.owner(77) == 77
    await first.save(int(GUILD), 0, Choices(private=True))
    await first.close()
    store = SqliteStore(settings_file)
    with caplog.at_level(logging.WARNING):
        async with connected(server, Desk(library, store=store, clock=clock)):
            assert await store.servers() == {int(GUILD)}
    assert [record.message for record in caplog.records] == [
        "the settings belong to application 77, this is 1000: give each application a data folder and a database of "
        "its own"
    ]


@pytest.mark.parametrize(
    ("event", "place", "gone"),
    [
        ("CHANNEL_DELETE", CHANNEL, {"id": CHANNEL, "type": 0, "guild_id": GUILD}),
        ("CHANNEL_DELETE", CATEGORY, {"id": CATEGORY, "type": 4, "guild_id": GUILD}),
        ("THREAD_DELETE", THREAD, {"id": THREAD, "type": 11, "guild_id": GUILD, "parent_id": CHANNEL}),
    ],
    ids=["channel", "category", "thread"],
)
async def test_what_was_chosen_for_a_channel_leaves_with_it(
    server: FakeDiscord, bot: SourcelineBot, settings_file: Path, event: str, place: str, gone: dict[str, Any]
) -> None:
    """A channel, a category or a thread that nobody has opened lately; the server's own choices stay."""
    await server.enter_guild()
    await bot.desk.preferences.change(int(GUILD), 0, private=True)
    await bot.desk.preferences.change(int(GUILD), int(place), hears="nothing")
    await server.push(event, gone)
    await server.slash("help")
    await told(server)
    await bot.close()
    store = SqliteStore(settings_file)
    assert await store.load(int(GUILD)) == {0: Choices(private=True)}
    await store.close()


async def test_a_channel_that_is_deleted_while_there_is_no_store_is_no_error(
    server: FakeDiscord, library: Library, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing was chosen that could stay."""
    with caplog.at_level(logging.ERROR):
        async with connected(server, Desk(library, clock=clock)):
            await server.enter_guild()
            await server.push("CHANNEL_DELETE", {"id": CHANNEL, "type": 0, "guild_id": GUILD})
            await server.slash("help")
            await told(server)
    assert caplog.records == []


async def test_an_outage_of_a_server_removes_nothing(server: FakeDiscord, bot: SourcelineBot) -> None:
    """A server that is only unavailable keeps its settings."""
    await server.enter_guild()
    await server.setup("private", private=True)
    await told(server)
    await server.push("GUILD_DELETE", {"id": GUILD, "unavailable": True})
    await server.slash("help")
    await told(server)
    assert await bot.desk.preferences.all(int(GUILD)) == {0: Choices(private=True)}


def bytes_of(path: Path) -> bytes:
    """A file as it is."""
    return path.read_bytes()


def damage(path: Path) -> None:
    """A file that is no database."""
    path.write_bytes(b"this is not a database, and nobody may write over it" * 50)


def make_read_only(path: Path) -> None:
    """A database that SQLite itself refuses to write: its write version is one of the future."""
    content = bytearray(path.read_bytes())
    content[18] = 9
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("fault", ["damaged", "read-only", "locked"])
async def test_a_store_that_fails_stops_nothing_and_loses_nothing(
    server: FakeDiscord,
    library: Library,
    clock: Clock,
    settings_file: Path,
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Answers go on with defaults, one line in the log, one line for the moderator, and the file is not touched."""
    first = SqliteStore(settings_file)
    await first.save(int(GUILD), 0, Choices(private=True))
    await first.close()
    lock: sqlite3.Connection | None = None
    if fault == "damaged":
        damage(settings_file)
    elif fault == "read-only":
        make_read_only(settings_file)
    else:
        lock = sqlite3.connect(settings_file)
        lock.execute("PRAGMA locking_mode = EXCLUSIVE")
        lock.execute("BEGIN EXCLUSIVE")
    before = bytes_of(settings_file)
    server.guilds = [server.guild()]
    async with connected(server, Desk(library, store=SqliteStore(settings_file), clock=clock)) as bot:
        with caplog.at_level(logging.ERROR):
            await server.guild_message(f"{ME} {CONFIRMED}")
            assert "April 28" in (await server.call(ending=IN_CHANNEL)).body["content"]
            for _ in range(2):
                await server.setup("private", private=False)
                assert await told(server) == NOT_KEPT
            await server.setup("show")
            assert NOT_READ in await told(server)
        lines = [record for record in caplog.records if "settings cannot be" in record.message]
        assert len(lines) == 1
        assert bytes_of(settings_file) == before
        if lock is not None:
            lock.rollback()
            lock.close()
            clock.now += RETRY_S + 1
            assert await bot.desk.preferences.all(int(GUILD)) == {0: Choices(private=True)}
            await server.setup("private", private=False)
            assert "everybody" in await told(server)


async def test_a_change_never_overwrites_what_could_not_be_read(
    server: FakeDiscord, bot: SourcelineBot, settings_file: Path, clock: Clock
) -> None:
    """A choice made after a failed reading keeps the place's other choices."""
    other = SqliteStore(settings_file)
    await other.save(int(GUILD), 0, Choices(private=True))
    await other.close()
    lock = sqlite3.connect(settings_file)
    lock.execute("BEGIN EXCLUSIVE")
    await server.setup("answers", to="nothing")
    assert await told(server) == NOT_KEPT
    lock.rollback()
    lock.close()
    await server.setup("answers", to="nothing", author=BOB)
    assert "commands still work" in await told(server)
    assert (await bot.desk.preferences.all(int(GUILD)))[0] == Choices(hears="nothing", private=True)


async def test_changes_at_the_same_moment_keep_each_other(desk: Desk, settings_file: Path) -> None:
    """Two moderators choose different things for one place."""
    preferences, server = desk.preferences, int(GUILD)
    await asyncio.gather(preferences.change(server, 0, private=True), preferences.change(server, 0, hears="nothing"))
    assert await preferences.all(server) == {0: Choices(hears="nothing", private=True)}
    await desk.close(0)


async def test_what_was_read_before_a_change_is_not_taken_for_new(library: Library, clock: Clock) -> None:
    """A reading that ends behind a change does not hide it."""

    class Slow(SqliteStore):
        reading, go_on = asyncio.Event(), asyncio.Event()

        async def load(self, server: int) -> dict[int, Choices]:
            self.reading.set()
            await self.go_on.wait()
            return {}

        async def forget(self, server: int) -> None:
            return

    store = Slow(Path("never"))
    preferences = Desk(library, store=store, clock=clock).preferences
    early = asyncio.create_task(preferences.all(1))
    await asyncio.wait_for(store.reading.wait(), 10)
    await preferences.reset(1, None)
    store.go_on.set()
    assert await early == {}
    store.reading.clear()
    await preferences.all(1)
    assert store.reading.is_set()
    await preferences.close()


async def test_a_store_that_is_held_up_does_not_hold_up_the_end(settings_file: Path) -> None:
    """Closing leaves what waits behind a lock undone: SIGTERM has five seconds for everything."""
    store, lock = SqliteStore(settings_file), Event()
    store._thread.submit(lock.wait)
    waiting = asyncio.create_task(store.load(1))
    await asyncio.sleep(0)
    await store.close()
    lock.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_store_of_a_newer_version_is_left_alone(settings_file: Path, clock: Clock, library: Library) -> None:
    """The schema's version stands in the store; one from the future is neither read nor written."""
    store = SqliteStore(settings_file)
    await store.save(int(GUILD), 0, Choices(private=True))
    await store.close()
    with sqlite3.connect(settings_file) as db:
        assert db.execute("SELECT version FROM sourceline_schema").fetchall() == [(1,)]
        db.execute("UPDATE sourceline_schema SET version = 99")
    db.close()
    desk = Desk(library, store=SqliteStore(settings_file), clock=clock)
    assert await desk.preferences.all(int(GUILD)) == {}
    assert not desk.preferences.available
    await desk.close(0)
