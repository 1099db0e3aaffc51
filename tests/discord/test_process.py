"""The shipped entry point as a process, against the loopback Discord."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import aiohttp
import discord
import pytest

from tests.discord.loopback import ANN, DM, TOKEN, FakeDiscord

# Points discord.py at the loopback server, then runs the package as `python -m bot` does.
LAUNCHER = """
import runpy, sys, discord, yarl
discord.http.Route.BASE = sys.argv[1]
discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(sys.argv[2])
sys.argv = ["bot", *sys.argv[3:]]
runpy.run_module("bot", run_name="__main__")
"""


async def start(server: FakeDiscord, cache: Path, *arguments: str, **env: str) -> asyncio.subprocess.Process:
    """`python -m bot` with a clean set of settings."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("DISCORD_", "SOURCELINE_"))}
    clean |= {"SOURCELINE_CACHE": str(cache), "SOURCELINE_DATA": str(cache / "data")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", LAUNCHER, server.api, str(server.gateway), *arguments,
        env={**clean, **env},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [(), ("run",)], ids=["no command", "run"])
async def test_the_entry_point_serves_and_leaves_on_sigterm(
    server: FakeDiscord, cache_folder: Path, arguments: tuple[str, ...]
) -> None:
    """With a token the process logs in and answers; SIGTERM ends it with status 0; no message text is logged."""
    process = await start(server, cache_folder, *arguments, DISCORD_TOKEN=TOKEN)
    await asyncio.wait_for(server.ready.wait(), 60)
    await server.dm("When did North Korea confirm the deployment?")
    call = await server.call(ending=f"/channels/{DM}/messages")
    assert "April 28" in call.body["content"]
    process.send_signal(signal.SIGTERM)
    _, stderr = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, stderr.decode()
    assert b"confirm the deployment" not in stderr


async def test_a_token_from_a_file_logs_in(server: FakeDiscord, cache_folder: Path, tmp_path: Path) -> None:
    """DISCORD_TOKEN_FILE names a file that holds the token."""
    secret = tmp_path / "token"
    secret.write_text(f"{TOKEN}\n", "utf-8")
    process = await start(server, cache_folder, "run", DISCORD_TOKEN_FILE=str(secret))
    await asyncio.wait_for(server.ready.wait(), 60)
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 20)
    assert server.identify["token"] == TOKEN


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({}, "There is no token: set DISCORD_TOKEN, or DISCORD_TOKEN_FILE to a file that holds it."),
        (
            {"DISCORD_TOKEN": "wrong"},
            "Discord does not know this token: copy it again from the developer portal, page Bot.",
        ),
        (
            {"DISCORD_TOKEN_FILE": "/nowhere/token"},
            "DISCORD_TOKEN_FILE names /nowhere/token, which cannot be read: give a readable file.",
        ),
    ],
    ids=["missing", "wrong", "unreadable file"],
)
async def test_a_token_that_cannot_be_used_is_one_sentence_and_status_2(
    server: FakeDiscord, cache_folder: Path, env: dict[str, str], sentence: str
) -> None:
    """The last line on standard error says what to do, without a traceback."""
    process = await start(server, cache_folder, "run", **env)
    _, stderr = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert stderr.decode().splitlines()[-1] == sentence
    assert b"Traceback" not in stderr


async def test_the_doctor_checks_everything_a_line_each(
    server: FakeDiscord, cache_folder: Path, tmp_path: Path
) -> None:
    """With a token that works every line is ok and the exit status 0."""
    env = {"QUESTION_LOG": str(tmp_path / "questions.jsonl"), "METRICS_PORT": "0"}
    process = await start(server, cache_folder, "doctor", DISCORD_TOKEN=TOKEN, **env)
    stdout, stderr = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, stderr.decode()
    lines = stdout.decode().splitlines()
    assert all(line.startswith("ok ") for line in lines)
    for checked in (
        "models", "story north-korea-troops", "cache", "settings", "token", "application flags", "intents", "starts",
        "install link", "clock", "question log", "metrics",
    ):  # fmt: skip
        assert any(checked in line for line in lines), checked


def lines_of(stderr: bytes) -> list[dict[str, str]]:
    """A log in JSON, all of it."""
    return [json.loads(line) for line in stderr.decode().splitlines()]


async def test_sigterm_finishes_the_reply_in_hand(server: FakeDiscord, cache_folder: Path, tmp_path: Path) -> None:
    """The answer that Discord is just taking is waited for; the process leaves with status 0, its log is JSON."""
    process = await start(
        server, cache_folder, "run", DISCORD_TOKEN=TOKEN, LOG_FORMAT="json", LOG_LEVEL="DEBUG",
        SOURCELINE_DATA=str(tmp_path),
    )  # fmt: skip
    await asyncio.wait_for(server.ready.wait(), 60)
    held = server.hold()
    await server.dm("hello, a secret")
    await server.call(ending=f"/channels/{DM}/messages", method="POST")
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    log = b""
    while b"told to stop" not in log:
        log += await asyncio.wait_for(process.stderr.readline(), 10)
    held.set()
    log += await asyncio.wait_for(process.stderr.read(), 10)
    assert await asyncio.wait_for(process.wait(), 10) == 0
    assert len(server.messages) == 1
    assert b"secret" not in log
    assert {"time", "level", "logger", "message"} <= set(lines_of(log)[-1])
    assert await asyncio.to_thread((tmp_path / "starts.json").read_text) == "[]"


async def test_a_reply_that_never_ends_does_not_hold_the_process(
    server: FakeDiscord, cache_folder: Path, tmp_path: Path
) -> None:
    """Discord does not answer at all: SIGTERM still ends the process."""
    process = await start(server, cache_folder, "run", DISCORD_TOKEN=TOKEN, SOURCELINE_DATA=str(tmp_path))
    await asyncio.wait_for(server.ready.wait(), 60)
    held = server.hold()
    await server.dm("hello")
    await server.call(ending=f"/channels/{DM}/messages", method="POST")
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    held.set()


async def test_a_killed_process_is_replaced(server: FakeDiscord, cache_folder: Path, tmp_path: Path) -> None:
    """Kill -9 in the middle of replies: a new process answers, knows the settings, and understands old buttons."""
    old = await start(server, cache_folder, "run", DISCORD_TOKEN=TOKEN, SOURCELINE_DATA=str(tmp_path))
    await asyncio.wait_for(server.ready.wait(), 60)
    server.guilds = [server.guild()]
    await server.enter_guild()
    await server.setup("private", private=True)
    await server.call(ending="/callback")
    assert "the asker alone" in (await server.call()).body["content"]
    await server.dm("When did North Korea confirm the deployment?")
    answer = await server.call(ending=f"/channels/{DM}/messages", method="POST")
    held = server.hold()
    for reader in range(5):
        await server.dm("hello", {**ANN, "id": str(4000 + reader)}, channel_id=str(4100 + reader))
    await server.call(ending="/messages", method="POST")
    old.kill()
    await asyncio.wait_for(old.communicate(), 20)
    held.set()
    server.ready.clear()
    new = await start(server, cache_folder, "run", DISCORD_TOKEN=TOKEN, SOURCELINE_DATA=str(tmp_path))
    await asyncio.wait_for(server.ready.wait(), 60)
    await server.dm("hello", channel_id="4200")
    assert (await server.call(ending="/channels/4200/messages")).body["content"].startswith("Hello!")
    button = answer.body["components"][0]["components"][0]["custom_id"]
    await server.press(button, answer.body["components"])
    assert "Line 3: **" in (await server.call(ending="/callback")).body["data"]["content"]
    await server.setup("show")
    await server.call(ending="/callback")
    assert "the asker alone" in (await server.call()).body["content"]
    new.send_signal(signal.SIGTERM)
    await asyncio.wait_for(new.communicate(), 20)
    assert new.returncode == 0


async def test_a_crash_loop_waits_and_still_obeys(server: FakeDiscord, cache_folder: Path, tmp_path: Path) -> None:
    """After many crashes the process waits before it connects; SIGTERM ends the waiting."""
    now = time.time()
    starts = json.dumps([[now - second, 0] for second in range(30, 0, -1)])
    await asyncio.to_thread((tmp_path / "starts.json").write_text, starts)
    process = await start(server, cache_folder, "run", DISCORD_TOKEN=TOKEN, SOURCELINE_DATA=str(tmp_path))
    assert process.stderr is not None
    log = b""
    while b"it crashed several times" not in log:
        log += await asyncio.wait_for(process.stderr.readline(), 60)
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    assert server.identifies == []


@pytest.mark.parametrize(("left", "shards"), [(3, 1), (23, 4)])
async def test_with_too_few_starts_left_nothing_is_identified(
    server: FakeDiscord, cache_folder: Path, tmp_path: Path, left: int, shards: int
) -> None:
    """Discord's own count is read before the connection: all the shards that it recommends, and twenty beside them."""
    server.starts_left, server.shards = left, shards
    process = await start(server, cache_folder, "run", DISCORD_TOKEN=TOKEN, SOURCELINE_DATA=str(tmp_path))
    assert process.stderr is not None
    log = b""
    while f"only {left} starts are left today".encode() not in log:
        log += await asyncio.wait_for(process.stderr.readline(), 60)
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    assert server.identifies == []


async def test_a_refused_intent_is_one_sentence(server: FakeDiscord, cache_folder: Path, tmp_path: Path) -> None:
    """Close code 4014: what to switch on, or to leave out."""
    server.refuse_identify = 4014
    process = await start(
        server, cache_folder, "run", DISCORD_TOKEN=TOKEN, MESSAGE_CONTENT="1", SOURCELINE_DATA=str(tmp_path)
    )
    _, stderr = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert stderr.decode().splitlines()[-1].startswith("Discord refused an intent: switch Message Content Intent on")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (4004, "Discord does not know this token: copy it again from the developer portal, page Bot."),
        (
            4010,
            "Discord closed the connection for good (code 4010): check SHARD_COUNT and SHARD_IDS, "
            "and that this version of Sourceline is up to date.",
        ),
    ],
    ids=["the token was reset", "shards that cannot be"],
)
async def test_a_connection_closed_for_good_is_one_sentence(
    server: FakeDiscord, cache_folder: Path, tmp_path: Path, code: int, sentence: str
) -> None:
    """Not a traceback, though the bot was already serving; the log before it tells nothing else."""
    process = await start(server, cache_folder, "run", DISCORD_TOKEN=TOKEN, SOURCELINE_DATA=str(tmp_path))
    await asyncio.wait_for(server.ready.wait(), 60)
    await server.dm("hello")
    await server.call(ending=f"/channels/{DM}/messages")
    await server.drop(code)
    _, stderr = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert stderr.decode().splitlines()[-1] == sentence
    assert b"Traceback" not in stderr


async def test_sigterm_ends_a_process_that_is_still_loading(
    server: FakeDiscord, cache_folder: Path, tmp_path: Path
) -> None:
    """With status 0, before anything is connected."""
    process = await start(server, cache_folder, "run", DISCORD_TOKEN=TOKEN, SOURCELINE_DATA=str(tmp_path))
    assert process.stderr is not None
    log = b""
    while b"loading models and stories" not in log:
        log += await asyncio.wait_for(process.stderr.readline(), 60)
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0


async def test_metrics_of_a_process(server: FakeDiscord, cache_folder: Path, tmp_path: Path) -> None:
    """METRICS_PORT opens health and metrics; the log says where."""
    process = await start(
        server, cache_folder, "run", DISCORD_TOKEN=TOKEN, METRICS_PORT="0", SOURCELINE_DATA=str(tmp_path)
    )
    assert process.stderr is not None
    line = b""
    while b"health and metrics at " not in line:
        line = await asyncio.wait_for(process.stderr.readline(), 60)
    address = line.decode().split()[-1]
    await asyncio.wait_for(server.ready.wait(), 60)
    async with aiohttp.ClientSession() as session, session.get(f"{address}/metrics") as response:
        assert "sourceline_table_info" in await response.text()
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0


async def test_the_doctor_tells_what_an_install_lacks(server: FakeDiscord, cache_folder: Path, tmp_path: Path) -> None:
    """The link asks for the permissions that the bot uses, and names the kind of install that the portal forbids."""
    server.app["integration_types_config"] = {"0": {}}
    process = await start(server, cache_folder, "doctor", DISCORD_TOKEN=TOKEN, SOURCELINE_DATA=str(tmp_path))
    stdout, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    (line,) = [line for line in stdout.decode().splitlines() if "install link: " in line]
    wanted = discord.Permissions(
        view_channel=True, send_messages=True, send_messages_in_threads=True, read_message_history=True
    )
    assert f"permissions={wanted.value}" in line
    assert line.endswith(" (installing it on accounts is off in the portal, page Installation)")


@pytest.mark.parametrize(
    ("flags", "status", "told"),
    [(0, 1, "FAIL intents: MESSAGE_CONTENT is set"), (1 << 18, 0, "ok   intents: guilds, guild messages")],
)
async def test_the_doctor_knows_whether_the_intent_is_allowed(
    server: FakeDiscord, cache_folder: Path, tmp_path: Path, flags: int, status: int, told: str
) -> None:
    """MESSAGE_CONTENT needs a switch in the portal."""
    server.app["flags"] = flags
    process = await start(
        server, cache_folder, "doctor", DISCORD_TOKEN=TOKEN, MESSAGE_CONTENT="1", SOURCELINE_DATA=str(tmp_path)
    )
    stdout, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == status
    assert told in stdout.decode()
