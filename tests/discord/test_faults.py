"""Discord's faults: broken connections, refused calls, interactions that are over, and floods."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict

import pytest

from bot.surfaces.discord import desk as desk_module
from bot.surfaces.discord.client import SourcelineBot
from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.failing import BUSY, CHANGED, NOT_ALLOWED
from bot.surfaces.discord.library import Library
from bot.surfaces.discord.logs import is_news
from bot.surfaces.discord.render import content
from tests.discord.conftest import Clock, connected
from tests.discord.loopback import ANN, DM, EPHEMERAL, Call, FakeDiscord, in_server

CONFIRMED = "When did North Korea confirm the deployment?"
IN_DM = f"/channels/{DM}/messages"


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """discord.py's pauses between attempts take no time."""
    true_sleep = asyncio.sleep

    async def at_once(delay: float, result: object = None) -> object:
        return await true_sleep(0, result)

    monkeypatch.setattr(asyncio, "sleep", at_once)


async def greeted(server: FakeDiscord) -> None:
    """A direct message is answered, once."""
    await server.dm("hello")
    assert (await server.call(ending=IN_DM)).body["content"].startswith("Hello!")
    assert server.calls.empty()


async def test_a_closed_gateway_is_resumed_with_what_was_missed(
    server: FakeDiscord, bot: SourcelineBot, no_waiting: None
) -> None:
    """The session goes on, and a message that came meanwhile is answered once."""
    await greeted(server)
    await server.drop(4000)
    await server.dm(CONFIRMED)
    assert "April 28" in (await server.call(ending=IN_DM)).body["content"]
    assert len(server.identifies) == 1
    assert server.resumes[0]["session_id"] == "s1"
    await greeted(server)


async def test_a_request_to_reconnect_is_resumed(server: FakeDiscord, bot: SourcelineBot, no_waiting: None) -> None:
    """Opcode 7: another connection, the same session."""
    await server.send({"op": 7, "d": None})
    await asyncio.wait_for(server.resumed.wait(), 10)
    assert len(server.identifies) == 1
    await greeted(server)


async def test_an_invalid_session_is_identified_anew(server: FakeDiscord, bot: SourcelineBot, no_waiting: None) -> None:
    """Opcode 9: one new identify, and messages are answered again."""
    server.ready.clear()
    await server.send({"op": 9, "d": False})
    await asyncio.wait_for(server.ready.wait(), 10)
    assert len(server.identifies) == 2
    await greeted(server)


async def test_a_silent_gateway_is_left_and_resumed(server: FakeDiscord, library: Library, clock: Clock) -> None:
    """Heartbeats that nobody acknowledges: the connection is given up, the session goes on in a new one."""
    server.heartbeat_ms = 50
    server.acknowledges = False
    async with connected(server, Desk(library, clock=clock), heartbeat_timeout=0.2):
        await asyncio.wait_for(server.resumed.wait(), 20)
        server.acknowledges = True
        assert len(server.identifies) == 1
        await server.dm("hello")
        assert (await server.call(ending=IN_DM)).body["content"].startswith("Hello!")


async def test_429_with_a_time_is_waited_out(server: FakeDiscord, bot: SourcelineBot) -> None:
    """The answer is sent when Discord says so, once."""
    server.fail("POST", IN_DM, 429, retry_after=0.01)
    await server.dm("hello")
    refused, sent = await server.call(ending=IN_DM), await server.call(ending=IN_DM)
    assert refused.body["content"] == sent.body["content"]
    await greeted(server)


async def test_429_without_a_time_is_not_insisted_on(server: FakeDiscord, bot: SourcelineBot) -> None:
    """A refusal that is not Discord's own: one attempt, silence, and the next message is answered."""
    server.fail("POST", IN_DM, 429)
    await server.dm("hello")
    await server.call(ending=IN_DM)
    await greeted(server)
    assert bot.desk.metrics.failures["undelivered"] == 1


@pytest.mark.parametrize("status", [500, 502])
async def test_a_server_error_is_tried_again(
    server: FakeDiscord, bot: SourcelineBot, no_waiting: None, status: int
) -> None:
    """Two failures, then the answer, with the same nonce: Discord posts it once."""
    server.fail("POST", IN_DM, status, times=2)
    await server.dm("hello")
    attempts = [await server.call(ending=IN_DM) for _ in range(3)]
    assert len({attempt.body["nonce"] for attempt in attempts}) == 1
    assert all(attempt.body["enforce_nonce"] for attempt in attempts)
    await greeted(server)


@pytest.mark.parametrize("status", [500, 502])
async def test_a_lasting_server_error_costs_one_answer(
    server: FakeDiscord, bot: SourcelineBot, no_waiting: None, status: int
) -> None:
    """After its attempts the answer is given up, without a traceback, and the next message is answered."""
    server.fail("POST", IN_DM, status, times=5)
    await server.dm("hello")
    for _ in range(5):
        await server.call(ending=IN_DM)
    await greeted(server)
    assert bot.desk.metrics.failures["undelivered"] == 1
    assert bot.desk.metrics.failures["error"] == 0


async def test_an_interaction_that_expired_is_no_error(
    server: FakeDiscord, bot: SourcelineBot, caplog: pytest.LogCaptureFixture
) -> None:
    """10062 on the first response: nothing more is tried, nothing is logged as an error."""
    with caplog.at_level(logging.INFO):
        await server.interact(2, {"id": "9", "name": "help", "type": 1, "options": []}, known=False)
        await server.call(ending="/callback")
        await greeted(server)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("name", ["help", "ask"])
async def test_an_interaction_that_was_answered_before_is_no_error(
    server: FakeDiscord, bot: SourcelineBot, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """40060, as after a resumed session dispatches an interaction twice: nothing more is tried."""
    server.fail("POST", "/callback", 400, 40060)
    options = [{"name": "question", "type": 3, "value": CONFIRMED}] if name == "ask" else []
    with caplog.at_level(logging.INFO):
        await server.interact(2, {"id": "9", "name": name, "type": 1, "options": options})
        await server.call(ending="/callback")
        await greeted(server)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert bot.desk.metrics.failures["undelivered"] == 1


@pytest.mark.parametrize(("status", "code"), [(401, 50027), (404, 10015)], ids=["token", "webhook"])
async def test_an_answer_that_comes_after_a_quarter_of_an_hour_is_no_error(
    server: FakeDiscord, bot: SourcelineBot, caplog: pytest.LogCaptureFixture, status: int, code: int
) -> None:
    """The interaction's token is no longer valid: nothing more is tried."""
    with caplog.at_level(logging.INFO):
        number = await server.slash("ask", question=CONFIRMED)
        server.fail("POST", f"t{number}", status, code)
        await server.call(ending="/callback")
        await server.call(ending=f"t{number}")
        await greeted(server)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert bot.desk.metrics.failures["undelivered"] == 1
    assert len(bot.desk.records) == 1


@pytest.mark.parametrize("status", [500, 502])
async def test_a_server_error_on_an_interaction_is_tried_again(
    server: FakeDiscord, bot: SourcelineBot, no_waiting: None, status: int
) -> None:
    """Both the acknowledgement and the answer behind it."""
    server.fail("POST", "/callback", status)
    number = await server.slash("ask", question=CONFIRMED)
    server.fail("POST", f"t{number}", status)
    assert [(await server.call(ending="/callback")).body["type"] for _ in range(2)] == [5, 5]
    answers = [(await server.call(ending=f"t{number}")).body["content"] for _ in range(2)]
    assert answers[0] == answers[1]
    assert "April 28" in answers[0]
    await greeted(server)


async def test_a_command_that_is_no_longer_there_says_so(
    server: FakeDiscord, bot: SourcelineBot, caplog: pytest.LogCaptureFixture
) -> None:
    """A reader's Discord still shows a command of an earlier version: one private line; its choices get nothing."""
    with caplog.at_level(logging.INFO):
        await server.autocomplete("vanished", "question", "wh")
        await server.slash("vanished")
        shown = await server.call(ending="/callback")
        await server.interact(2, {"id": "9", "name": "ask", "type": 1, "options": []})
        again = await server.call(ending="/callback")
    assert [call.body["data"]["content"] for call in (shown, again)] == [CHANGED, CHANGED]
    assert shown.flags & again.flags & EPHEMERAL
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_an_autocomplete_that_comes_too_late_is_no_error(
    server: FakeDiscord, bot: SourcelineBot, caplog: pytest.LogCaptureFixture
) -> None:
    """The reader typed on: 10062 is no line in the log, and the next one is served."""
    server.fail("POST", "/callback", 404, 10062)
    await server.autocomplete("ask", "question", "wh")
    await server.call(ending="/callback")
    await server.autocomplete("ask", "question", "when")
    assert (await server.call(ending="/callback")).body["data"]["choices"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR and is_news(record)]


async def test_a_missing_permission_in_a_command_is_one_private_line(server: FakeDiscord, bot: SourcelineBot) -> None:
    """50013 on the answer: the reader alone is told, and what to do."""
    number = await server.slash("ask", question=CONFIRMED, within=in_server())
    server.fail("POST", f"/webhooks/1000/t{number}", 403, 50013)
    await server.call(ending="/callback")
    await server.call(ending=f"t{number}")
    told = await server.call(ending=f"t{number}")
    assert told.body["content"] == NOT_ALLOWED
    assert told.flags & EPHEMERAL


async def test_a_press_whose_message_was_deleted_is_one_line(server: FakeDiscord, bot: SourcelineBot) -> None:
    """10008 when a page is turned: the reader gets a line, the bot goes on."""
    await server.slash("facts")
    page = (await server.call(ending="/callback")).body["data"]
    server.fail("POST", "/callback", 404, 10008)
    await server.press(page["components"][0]["components"][0]["custom_id"], page["components"])
    await server.call(ending="/callback")
    await server.call(ending="/callback")
    await greeted(server)


async def test_beyond_what_can_wait_readers_are_told(
    server: FakeDiscord, bot: SourcelineBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where too much is in hand an interaction gets a line and a message silence: memory is bounded."""
    monkeypatch.setattr(desk_module, "MAX_IN_HAND", 0)
    await server.dm("hello")
    await server.slash("help")
    assert (await server.call(ending="/callback")).body["data"]["content"] == BUSY
    assert bot.desk.metrics.failures["dropped"] == 2
    monkeypatch.undo()


async def test_a_thousand_direct_messages_at_once(server: FakeDiscord, bot: SourcelineBot) -> None:
    """Every one is answered once, each reader's in order, and nothing of the crowd stays behind."""
    readers, each = 250, 4
    question = bot.desk.responder().story.table.questions[0]
    answer = content((await bot.desk.answer(bot.desk.library.default, question)).reply, "x")[:20]
    asked, opening = ["hello", question, "thanks", "bye"], ["Hello!", answer, "You're welcome", "Goodbye!"]
    got: dict[str, list[str]] = defaultdict(list)
    done = asyncio.Event()

    def note(call: Call) -> None:
        if call.path.endswith("/messages"):
            got[call.path.split("/")[2]].append(call.body["content"])
            if sum(map(len, got.values())) == readers * each:
                done.set()

    server.on_call = note
    for turn in range(each):
        for reader in range(readers):
            author = {**ANN, "id": str(10_000 + reader)}
            await server.dm(asked[turn], author, channel_id=str(20_000 + reader))
    await asyncio.wait_for(done.wait(), 120)
    server.on_call = None
    assert Counter(len(texts) for texts in got.values()) == {each: readers}
    for texts in got.values():
        assert [text.startswith(start) for text, start in zip(texts, opening, strict=True)] == [True] * each, texts
    await greeted(server)
    assert len(bot.desk.lanes) <= 1
    assert len(bot.desk.records) <= readers * each + 1
    assert len(bot.desk.conversations) <= readers + 1
    assert bot.desk.waiting <= 1
