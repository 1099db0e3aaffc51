"""Running: settings, starts, logs, metrics, the question log, and which commands are published."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import discord
import pytest

from bot.answering.reply import Answer, NotInStory, Source
from bot.errors import UsageError
from bot.settings import Settings
from bot.surfaces.discord import logs, preferences
from bot.surfaces.discord.browsing import NO_LOG, WITH_LOG
from bot.surfaces.discord.client import SourcelineBot
from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.doctor import check_clock, check_port, check_question_log, check_store
from bot.surfaces.discord.health import Health, shards_connected
from bot.surfaces.discord.library import Library
from bot.surfaces.discord.metrics import Metrics
from bot.surfaces.discord.question_log import KEPT_DAYS, QuestionLog
from bot.surfaces.discord.run import NO_POSTGRES, make_store, serve
from bot.surfaces.discord.sqlite_store import SqliteStore
from bot.surfaces.discord.starts import (
    CALM_S,
    FREE_STARTS,
    LONGEST_PAUSE_S,
    WINDOW_S,
    Identifies,
    Starts,
    pause_for_limit,
)
from bot.surfaces.discord.store import Choices
from tests.discord.conftest import Clock, connected
from tests.discord.loopback import DM, ENTRY_POINT, MESSAGE_CONTENT, TOKEN, FakeDiscord
from tests.discord.test_bot import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
REPLY = Answer("April 28", (Source("story", 3, "On April 28."),), "confirmed-when", 90.0)


@pytest.mark.parametrize(
    ("env", "count", "ids"),
    [
        ({}, None, None),
        ({"SHARD_COUNT": "4"}, 4, None),
        ({"SHARD_COUNT": "8", "SHARD_IDS": "0-2, 5"}, 8, (0, 1, 2, 5)),
        ({"SHARD_COUNT": "4", "POD_INDEX": "3"}, 4, (3,)),
        ({"SHARD_COUNT": "4", "POD_INDEX": "sourceline-1", "SHARDS_PER_POD": "2"}, 4, (2, 3)),
        ({"SHARD_COUNT": "3", "POD_INDEX": "1", "SHARDS_PER_POD": "2"}, 3, (2,)),
        ({"SHARD_COUNT": "4", "POD_INDEX": "3", "SHARD_IDS": "1"}, 4, (1,)),
    ],
)
def test_the_shards_of_a_process(env: dict[str, str], count: int | None, ids: tuple[int, ...] | None) -> None:
    """A list, a range, or the ordinal of a StatefulSet's pod."""
    settings = Settings.from_env(env)
    assert (settings.shard_count, settings.shard_ids) == (count, ids)


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"SHARD_IDS": "1"}, "SHARD_COUNT"),
        ({"SHARD_COUNT": "2", "SHARD_IDS": "2"}, "SHARD_COUNT"),
        ({"SHARD_COUNT": "2", "SHARD_IDS": "a"}, "SHARD_IDS"),
        ({"SHARD_COUNT": "2", "POD_INDEX": "2"}, "SHARD_COUNT"),
        ({"SHARD_COUNT": "2", "POD_INDEX": "first"}, "POD_INDEX"),
        ({"SHARD_COUNT": "0"}, "SHARD_COUNT"),
        ({"METRICS_PORT": "http"}, "METRICS_PORT"),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
        ({"MESSAGE_CONTENT": "maybe"}, "MESSAGE_CONTENT"),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_it(env: dict[str, str], named: str) -> None:
    """Whoever set it reads what to set instead."""
    with pytest.raises(UsageError) as told:
        Settings.from_env(env)
    assert named in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("token", ["x y", "x\ny", "x\x00y", "x\x7fy", "tokén"])
def test_what_cannot_be_a_token_is_told_without_it(tmp_path: Path, token: str) -> None:
    """Wherever it stands; blanks around it are no fault."""
    path = tmp_path / "token"
    path.write_text(token, "utf-8")
    for env in ({"DISCORD_TOKEN": token}, {"DISCORD_TOKEN_FILE": str(path)}):
        with pytest.raises(UsageError, match="copy it again from the developer portal") as told:
            Settings.from_env(env)
        assert token not in str(told.value)
        assert "\n" not in str(told.value)
    path.write_text("\n good \n", "utf-8")
    assert Settings.from_env({"DISCORD_TOKEN_FILE": str(path)}).token == "good"


def test_without_the_driver_a_database_url_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that holds PostgreSQL's driver is named."""
    monkeypatch.setitem(sys.modules, "bot.surfaces.discord.postgres_store", None)
    with pytest.raises(UsageError, match=r'pip install -e "\.\[postgres\]"'):
        make_store(Settings.from_env({"DATABASE_URL": "postgresql://a@b/c"}))


async def test_a_store_that_never_answers_holds_nobody_up(
    library: Library, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After a moment the defaults hold, and nobody waits for it again for a while."""

    class Hanging(SqliteStore):
        asked = 0

        async def load(self, server: int) -> dict[int, Choices]:
            self.asked += 1
            await asyncio.Event().wait()
            return {}

    monkeypatch.setattr(preferences, "PATIENCE_S", 0.01)
    store = Hanging(Path("never"))
    desk = Desk(library, store=store, clock=clock)
    assert [await desk.choices(1, None), await desk.choices(2, None)] == [Choices(), Choices()]
    assert store.asked == 1
    assert "(no answer)" in caplog.text
    clock.now += preferences.RETRY_S + 1
    servers = [desk.choices(server, None) for server in range(1, 6)]
    assert await asyncio.gather(*servers) == [Choices()] * 5
    assert store.asked == 2, "those who wait at the same moment do not wait one after the other"
    await desk.close(0)


def test_secrets_do_not_show() -> None:
    """Neither the token nor the database's password stands in a representation."""
    settings = Settings.from_env({"DISCORD_TOKEN": "s3cret", "DATABASE_URL": "postgresql://a:s3cret@b/c"})
    assert "s3cret" not in repr(settings)


def test_a_crash_loop_pauses_longer_and_longer(tmp_path: Path) -> None:
    """Four crashes are free; a day of crashing at once uses up under a tenth of Discord's thousand starts."""
    starts = Starts(tmp_path / "data" / "starts.json")
    now, pauses = 1_000_000.0, []
    end = now + WINDOW_S
    while now < end:
        pauses.append(starts.begin(now))
        now += pauses[-1] + 2.0
    assert pauses[: FREE_STARTS + 1] == [0.0] * FREE_STARTS + [5.0]
    assert pauses == sorted(pauses)
    assert max(pauses) == LONGEST_PAUSE_S
    assert len(pauses) < 100


@pytest.mark.parametrize(("lived", "paused"), [(CALM_S, True), (CALM_S + 1, False)])
def test_a_life_is_counted_from_the_end_of_its_pause(tmp_path: Path, lived: float, paused: bool) -> None:
    """However long the pause was: ten minutes of life are no crash."""
    starts, now, pause = Starts(tmp_path / "starts.json"), 1_000_000.0, 0.0
    for _ in range(20):
        pause = starts.begin(now)
        now += pause + lived
    assert (pause > 0) is paused


def test_a_good_end_and_a_long_life_are_no_crash(tmp_path: Path) -> None:
    """Restarts by hand and a crash a day later start at once."""
    starts = Starts(tmp_path / "starts.json")
    for hour in range(40):
        assert starts.begin(1_000_000.0 + 3600 * hour) == 0.0
    for second in range(20):
        assert starts.begin(2_000_000.0 + second) == 0.0
        starts.ended_well()


@pytest.mark.parametrize("content", ["", "no json", "[1, null]", "[[1, null]]", "[[1]]", '{"a": 1}'])
def test_a_damaged_file_of_starts_is_begun_anew(tmp_path: Path, content: str) -> None:
    """It is no reason not to start."""
    path = tmp_path / "starts.json"
    path.write_text(content, "utf-8")
    assert Starts(path).begin(1_000_000.0) == 0.0


@pytest.mark.parametrize(("token", "told"), [("wrong", "does not know this token"), (TOKEN, "METRICS_PORT")])
async def test_a_start_that_never_connects_is_no_crash(
    server: FakeDiscord, library: Library, tmp_path: Path, token: str, told: str
) -> None:
    """A wrong token and a taken port use up no identify."""
    settings = Settings(token=token, data=tmp_path)
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as taken:
        if token == TOKEN:
            settings = replace(settings, metrics_port=taken.sockets[0].getsockname()[1])
        with pytest.raises(UsageError, match=told):
            await serve(settings, library)
    assert server.identifies == []
    assert not (tmp_path / "starts.json").exists()


async def test_each_process_keeps_its_own_starts(server: FakeDiscord, library: Library, tmp_path: Path) -> None:
    """Two that share a folder, each with shards of its own."""
    server.refuse_identify = 4014
    for first in (2, 3):
        settings = Settings(token=TOKEN, data=tmp_path, shard_count=4, shard_ids=(first,))
        with pytest.raises(UsageError, match="refused an intent"):
            await serve(settings, library)
    found = await asyncio.to_thread(lambda: {p.name: json.loads(p.read_text()) for p in tmp_path.glob("starts*")})
    assert {name: len(starts) for name, starts in found.items()} == {"starts-2.json": 1, "starts-3.json": 1}


def test_starts_that_cannot_be_kept_do_not_stop_the_bot(tmp_path: Path) -> None:
    """Where the folder cannot be made Discord's own count still holds."""
    (tmp_path / "file").write_text("", "utf-8")
    assert Starts(tmp_path / "file" / "starts.json").begin(1.0) == 0.0


@pytest.mark.parametrize(("left", "pause"), [(1000, 0.0), (21, 0.0), (20, 61.0), (0, 61.0)])
def test_discord_s_own_count_is_minded(left: int, pause: float) -> None:
    """With too few identifies left the bot waits until Discord counts anew."""
    assert pause_for_limit(left, 60_000, 1) == pause


def test_sessions_that_are_always_invalid_are_begun_less_and_less() -> None:
    """A process that lives on identifies a shard under a hundred times a day; another shard does not wait for it."""
    identifies, now, count = Identifies(), 0.0, 0
    while now < WINDOW_S:
        now += identifies.wait(0, now) + 1.0
        identifies.sent(0, now)
        count += 1
    assert count < 100
    assert identifies.wait(1, now) == 0.0
    assert identifies.wait(0, now + WINDOW_S) == 0.0


@pytest.mark.parametrize("kind", ["plain", "json"])
def test_no_exception_s_words_reach_the_log(kind: str) -> None:
    """An exception may quote a reader: its type and its frames are logged, its words and its cause's are not."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter() if kind == "json" else logs.PlainFormatter())
    logger = logging.getLogger("test.words")
    logger.addHandler(handler)
    try:
        try:
            try:
                raise KeyError("what the reader wrote")
            except KeyError as cause:
                raise ValueError("what the reader wrote") from cause
        except ValueError:
            logger.exception("failed, reference %s", "abc")
    finally:
        logger.removeHandler(handler)
    text = stream.getvalue()
    assert "what the reader wrote" not in text
    assert "failed, reference abc" in text
    assert "builtins.KeyError" in text
    assert "builtins.ValueError" in text
    assert "test_running.py" in text
    if kind == "json":
        (row,) = [json.loads(line) for line in text.splitlines()]
        assert set(row) == {"time", "level", "logger", "message", "traceback"}


def test_debug_shows_ours_but_not_the_library_s_messages() -> None:
    """discord.py's debug lines hold whole messages: LOG_LEVEL=DEBUG does not show them."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("discord", "aiohttp", "asyncio", "asyncpg")}
    try:
        logs.set_up("plain", "DEBUG")
        assert logging.getLogger("bot").isEnabledFor(logging.DEBUG)
        for name in ("discord.gateway", "discord.http", "aiohttp.client", "asyncpg.x"):
            assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)


def test_metrics_are_cumulative_and_complete() -> None:
    """Every kind has a line from the start; buckets count upwards to all."""
    metrics = Metrics()
    metrics.replied(REPLY, 0.004)
    metrics.replied(REPLY, 0.3)
    metrics.replied(NotInStory("No."), 99.0)
    lines = metrics.text({0: True, 1: False}, 2, {"story": "abc", 'a "b"': "def"}).splitlines()
    for line in (
        'sourceline_replies_total{kind="answer"} 2', 'sourceline_replies_total{kind="off_topic"} 0',
        'sourceline_reply_seconds_bucket{le="0.005"} 1', 'sourceline_reply_seconds_bucket{le="10.0"} 2',
        'sourceline_reply_seconds_bucket{le="+Inf"} 3', "sourceline_reply_seconds_count 3", "sourceline_waiting 2",
        'sourceline_shard_connected{shard="0"} 1', 'sourceline_shard_connected{shard="1"} 0',
        'sourceline_table_info{story="story",digest="abc"} 1', r'sourceline_table_info{story="a \"b\"",digest="def"} 1',
    ):  # fmt: skip
        assert line in lines


async def asked_by_compose(address: str) -> int:
    """The exit status of the health check in the Compose example, asked of another address."""
    text = await asyncio.to_thread((ROOT / "deploy" / "compose.yaml").read_text, "utf-8")
    (code,) = re.findall(r'test: \["CMD", "python", "-c", "(.*)"\]', text)
    (port,) = re.findall(r'METRICS_PORT: "(\d+)"', text)
    code = code.replace(f"http://127.0.0.1:{port}", address)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stderr=asyncio.subprocess.DEVNULL, env={"NO_PROXY": "*"}
    )
    return await process.wait()


async def test_health_tells_whether_the_gateway_is_connected(server: FakeDiscord, bot: SourcelineBot) -> None:
    """200 while connected, 503 after, also to the check of the container; the metrics count what was sent."""
    health = Health(bot, "127.0.0.1", 0)
    await health.start()
    await bot.wait_until_ready()
    await server.dm("hello")
    await server.call(ending=f"/channels/{DM}/messages")
    await server.slash("help")
    await server.call(ending="/callback")
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{health.address}/healthz") as response:
            assert (response.status, await response.text()) == (200, "ok\n")
        assert await asked_by_compose(health.address) == 0
        async with session.get(f"{health.address}/metrics") as response:
            assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            text = await response.text()
        assert 'sourceline_replies_total{kind="smalltalk"} 1' in text
        assert 'sourceline_shard_connected{shard="0"} 1' in text
        assert f'story="north-korea-troops",digest="{bot.desk.tables()["north-korea-troops"]}"' in text
        await bot.close()
        async with session.get(f"{health.address}/healthz") as response:
            assert response.status == 503
        assert await asked_by_compose(health.address) != 0
    await health.stop()


def test_the_question_log_keeps_questions_without_names_and_expires(tmp_path: Path) -> None:
    """A row a question; rows older than a month and rows that cannot be read leave."""
    path = tmp_path / "log" / "questions.jsonl"
    log, today = QuestionLog(path), date(2026, 11, 1)
    log.add(today, "story", "When was it?", REPLY)
    log.add(today, "story", "How many?", NotInStory("No."))
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert rows[0] == {
        "day": "2026-11-01", "story": "story", "kind": "answer", "fact": "confirmed-when", "question": "When was it?",
    }  # fmt: skip
    assert rows[1]["kind"] == "not_in_story"
    path.write_text(path.read_text("utf-8") + "damaged\n", "utf-8")
    log.add(today + timedelta(days=KEPT_DAYS + 1), "story", "Later?", REPLY)
    assert [json.loads(line)["question"] for line in path.read_text("utf-8").splitlines()] == ["Later?"]


async def test_the_question_log_is_pruned_without_a_question(
    server: FakeDiscord, library: Library, clock: Clock, tmp_path: Path
) -> None:
    """From the start, and daily: what is kept for a month does not stay longer where nobody asks."""
    path, today = tmp_path / "questions.jsonl", date(2026, 11, 1)
    log = QuestionLog(path)
    log.add(today, "story", "When was it?", REPLY)
    log.prune(today + timedelta(days=KEPT_DAYS))
    assert "When was it?" in path.read_text("utf-8")
    log.prune(today + timedelta(days=KEPT_DAYS + 1))
    assert path.read_text("utf-8") == ""
    path.write_text('{"day": "2020-01-01"}\n', "utf-8")
    async with connected(server, Desk(library, clock=clock, question_log=QuestionLog(path))):
        assert await asyncio.to_thread(path.read_text, "utf-8") == ""


def test_the_question_log_takes_what_no_file_can_hold(tmp_path: Path) -> None:
    """Half a character, as JSON can carry it, is replaced."""
    path = tmp_path / "questions.jsonl"
    QuestionLog(path).add(date(2026, 11, 1), "story", "When \ud800?", REPLY)
    assert json.loads(path.read_text("utf-8"))["question"] == "When ??"


async def test_the_doctor_names_a_missing_driver_in_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of one check does not hide the others."""
    monkeypatch.setitem(sys.modules, "bot.surfaces.discord.postgres_store", None)
    good, told = await check_store(Settings.from_env({"DATABASE_URL": "postgresql://a@b/c"}))
    assert (good, told) == (False, f"settings: {NO_POSTGRES}")


@pytest.mark.parametrize("name", ["log/questions.jsonl", "file/questions.jsonl", "folder"])
def test_the_doctor_tries_the_question_log(tmp_path: Path, name: str) -> None:
    """Its folder is made if need be; a file in its way, or a folder in its place, is told."""
    (tmp_path / "file").write_text("", "utf-8")
    (tmp_path / "folder").mkdir()
    good, told = check_question_log(tmp_path / name)
    assert good is name.startswith("log")
    assert told.startswith(f"question log: {tmp_path / name}")


async def test_the_doctor_tries_the_metrics_port() -> None:
    """A taken one is told as the bot itself would."""
    assert await check_port("127.0.0.1", 0) == (True, "metrics: 127.0.0.1, port 0")
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as taken:
        port = taken.sockets[0].getsockname()[1]
        good, told = await check_port("127.0.0.1", port)
    assert not good
    assert told.startswith(f"metrics: METRICS_PORT {port} cannot be listened on (")


async def test_the_doctor_goes_on_where_discord_does_not_tell_the_time(
    server: FakeDiscord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is refused is no traceback."""
    monkeypatch.setattr(discord.http.Route, "BASE", "http://127.0.0.1:1/api/v10")
    assert await check_clock() == (True, "clock: Discord did not tell its time")


@pytest.mark.parametrize("wanted", [True, False])
async def test_questions_are_logged_only_where_the_host_wants_it(
    server: FakeDiscord, library: Library, clock: Clock, tmp_path: Path, wanted: bool
) -> None:
    """/privacy tells which; no number or name of a reader is in the file."""
    path = tmp_path / "questions.jsonl"
    log = QuestionLog(path) if wanted else None
    async with connected(server, Desk(library, clock=clock, question_log=log)):
        await server.slash("privacy")
        told = (await server.call(ending="/callback")).body["data"]["content"]
        assert (WITH_LOG in told, NO_LOG in told) == (wanted, not wanted)
        await server.dm("hello")
        await server.call(ending=f"/channels/{DM}/messages")
    if not wanted:
        assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []
        return
    (row,) = await asyncio.to_thread(lambda: [json.loads(line) for line in path.read_text("utf-8").splitlines()])
    assert set(row) == {"day", "story", "kind", "fact", "question"}


async def test_a_question_log_that_cannot_be_written_is_tried_again(
    server: FakeDiscord, library: Library, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line in the log as long as it fails, and /privacy goes on telling of the file that lies there."""
    path = tmp_path / "log" / "questions.jsonl"
    path.parent.write_text("no folder", "utf-8")
    desk = Desk(library, clock=clock, question_log=QuestionLog(path))
    with caplog.at_level(logging.ERROR):
        async with connected(server, desk):
            for question in ("When was it?", "Who was it?"):
                await desk.note("story", question, REPLY)
            await server.slash("privacy")
            assert WITH_LOG in (await server.call(ending="/callback")).body["data"]["content"]
            await asyncio.to_thread(path.parent.unlink)
            await desk.note("story", "Where was it?", REPLY)
    (row,) = await asyncio.to_thread(lambda: [json.loads(line) for line in path.read_text("utf-8").splitlines()])
    assert row["question"] == "Where was it?"
    (line,) = [record.message for record in caplog.records]
    assert line.startswith("the question log cannot be written (")


async def test_commands_are_published_once(server: FakeDiscord, library: Library, clock: Clock) -> None:
    """A second start finds them as they are; a change is published over, and Discord's own command stays."""
    puts: list[Any] = []
    for expected in (1, 1, 2):
        if expected == 2:
            server.commands[0] = {**server.commands[0], "description": "changed elsewhere"}
        elif server.commands:
            server.commands.append({"id": "77", "application_id": "1000", "type": ENTRY_POINT, "name": "launch"})
        async with connected(server, Desk(library, clock=clock)):
            while not server.calls.empty():
                call = server.calls.get_nowait()
                if call.method == "PUT":
                    puts.append(call)
        assert len(puts) == expected
    launch = next(command for command in server.commands if command["name"] == "launch")
    assert (launch["id"], launch["type"]) == ("77", ENTRY_POINT)
    assert {command["name"] for command in server.commands} == {*COMMANDS, "launch"}
    assert "changed elsewhere" not in {command["description"] for command in server.commands}


async def test_commands_that_cannot_be_published_do_not_stop_the_bot(
    server: FakeDiscord, library: Library, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Discord refuses the list: one line in the log, and messages are answered."""
    server.fail("PUT", "/commands", 400, 50035)
    with caplog.at_level(logging.ERROR):
        async with connected(server, Desk(library, clock=clock)):
            await server.dm("hello")
            await server.call(ending=f"/channels/{DM}/messages")
    assert [record.message for record in caplog.records] == ["commands could not be published: status 400, code 50035"]


async def test_only_the_process_with_the_first_shard_publishes(
    server: FakeDiscord, library: Library, clock: Clock
) -> None:
    """The others leave the commands alone, and identify as their own shards."""
    async with connected(server, Desk(library, clock=clock), shard_count=4, shard_ids=(2,)):
        assert server.identify["shard"] == [2, 4]
        assert not any(call.path.endswith("/commands") for call in list(server.calls._queue))  # type: ignore[attr-defined]


async def test_one_process_serves_several_shards(server: FakeDiscord, library: Library, clock: Clock) -> None:
    """Each identifies as itself; what arrives at either is answered, and health knows of both."""
    async with connected(server, Desk(library, clock=clock), shard_count=2) as bot:
        assert [told["shard"] for told in server.identifies] == [[0, 2], [1, 2]]
        for shard, channel in enumerate(("3000", "3001")):
            server.shard = shard
            await server.dm("hello", channel_id=channel)
            await server.call(ending=f"/channels/{channel}/messages")
        assert sorted(shards_connected(bot)) == [0, 1]


async def test_message_content_is_asked_for_only_where_the_host_wants_it(
    server: FakeDiscord, library: Library, clock: Clock
) -> None:
    """The privileged intent is off by default."""
    for wanted in (False, True):
        async with connected(server, Desk(library, clock=clock, message_content=wanted)):
            assert bool(server.identify["intents"] & MESSAGE_CONTENT) is wanted
