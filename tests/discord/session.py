"""Records docs/discord-session.md: what people see, from the bot's real replies over the loopback Discord.

python -m tests.discord.session > docs/discord-session.md
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import discord

from bot.answering.cache import default_cache_folder
from bot.answering.matcher import Models
from bot.story.library import seeds_folder
from bot.surfaces.discord.client import SourcelineBot
from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.library import Library, load_library
from bot.surfaces.discord.sqlite_store import SqliteStore
from tests.discord.loopback import ANN, BOB, BOT, CHANNEL, DM, EPHEMERAL, TOKEN, Call, FakeDiscord, in_server

HEAD = """# A session on Discord

What people see, recorded from the bot's real replies with `python -m tests.discord.session`. Words in `boxes` under a
reply are its buttons.
"""


def shown(call: Call) -> str:
    """A message of the bot as Markdown: what Discord shows, in a quotation, with its buttons."""
    body = call.body.get("data") or call.body
    text = re.sub(r"\\([^\w\s])", r"\1", body["content"]).replace("\u200b", "")
    text = re.sub(r"^-# (.*)$", r"<sub>\1</sub>", text, flags=re.MULTILINE)
    text = text.replace(f"<#{CHANNEL}>", "#news")
    buttons = [button["label"] for row in body.get("components") or [] for button in row["components"]]
    lines = ["**Sourceline**" + (" · *only you can see this*" if call.flags & EPHEMERAL else ""), "", *text.split("\n")]
    if buttons:
        lines += ["", " ".join(f"`{label}`" for label in buttons)]
    spaced = []
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith("<sub>") and before.startswith(">"):
            spaced.append("")  # a line right behind a quotation would belong to it
        spaced.append(line + ("  " if line and not line.startswith(("- ", ">", "`")) else ""))
    return "\n".join(f"> {line}".rstrip(" ") if not line.endswith("  ") else f"> {line}" for line in spaced)


class Recorder:
    """Plays the people, and writes down what they do and see."""

    def __init__(self, server: FakeDiscord) -> None:
        self._server = server
        self.lines: list[str] = [HEAD]
        self._last: dict[str, Any] = {}

    def scene(self, title: str, told: str) -> None:
        """A heading with a sentence."""
        self.lines.append(f"## {title}\n\n{told}\n")

    async def direct(self, text: str) -> Call:
        """A direct message of Ann's."""
        self.lines.append(f"**Ann:** {text}\n")
        await self._server.dm(text)
        return self._see(await self._server.call(ending=f"/channels/{DM}/messages", method="POST"))

    async def mention(self, text: str) -> Call:
        """A message of Ann's that mentions the bot in #news."""
        self.lines.append(f"**Ann:** @Sourceline {text}\n")
        await self._server.guild_message(f"<@{BOT['id']}> {text}")
        call = await self._server.call(ending=f"/channels/{CHANNEL}/messages", method="POST")
        self._last = list(self._server.messages.values())[-1]
        return self._see(call)

    async def reply(self, text: str) -> Call:
        """Bob's reply to the bot's last answer in #news."""
        self.lines.append(f"**Bob**, in reply to Sourceline: {text}\n")
        await self._server.reply(self._last, text, BOB)
        return self._see(await self._server.call(ending=f"/channels/{CHANNEL}/messages", method="POST"))

    async def press(self, call: Call, label: str, who: dict[str, Any], name: str) -> None:
        """A press of a button in #news."""
        self.lines.append(f"*{name} presses* `{label}`\n")
        rows = call.body["components"]
        number = next(b["custom_id"] for row in rows for b in row["components"] if b["label"] == label)
        await self._server.press(number, rows, within=in_server(who))
        await self._interaction()

    async def check(self, text: str) -> None:
        """Ann checks a message of Bob's."""
        self.lines.append(f"**Bob:** {text}\n\n*Ann opens that message's menu: Apps, Check against the story*\n")
        message = self._server.message(text, BOB)
        await self._server.interact(2, {
            "id": "9", "name": "Check against the story", "type": 3, "target_id": message["id"],
            "resolved": {"messages": {message["id"]: message}},
        }, **in_server())  # fmt: skip
        await self._interaction()

    async def setup(self, command: str, name: str, **options: Any) -> None:
        """A moderator's command."""
        self.lines.append(f"**Mia:** `{command}`\n")
        await self._server.setup(name, **options)
        await self._interaction()

    async def _interaction(self) -> None:
        first = await self._server.call(ending="/callback")
        if first.body["type"] != 5:
            self._see(first)
            return
        answer = await self._server.call()
        hidden = {**answer.body, "flags": first.flags}
        self._see(Call(answer.method, answer.path, hidden, None))

    def _see(self, call: Call) -> Call:
        self.lines.append(shown(call) + "\n")
        return call


async def play(recorder: Recorder) -> None:
    """The session."""
    recorder.scene("A conversation by direct message", "Ann writes to the bot as she would to a person.")
    await recorder.direct("hi")
    await recorder.direct("what day did kim's government come clean")
    await recorder.direct("which line?")
    await recorder.direct("how many troops")
    await recorder.direct("who won the world cup")
    await recorder.direct("recipe for pancakes")

    recorder.scene("A mention in a server", "In #news everybody reads along; Bob asks on by replying.")
    answer = await recorder.mention("Why did North Korea send troops to Russia?")
    await recorder.press(answer, "Show context", BOB, "Bob")
    await recorder.press(answer, "Not what I asked", BOB, "Bob")
    await recorder.press(answer, "Not what I asked", ANN, "Ann")
    await recorder.reply("which line?")

    recorder.scene("Checking what somebody wrote", "Only Ann sees what the story says about it.")
    await recorder.check("Putin ordered the deployment of the North Korean troops")

    recorder.scene(
        "A moderator's setup", "Mia may manage the server, so she sees /setup; nobody else sees her answers."
    )
    await recorder.setup("/setup private private: True", "private", private=True)
    await recorder.setup("/setup answers to: No messages, only commands", "answers", to="nothing")
    await recorder.setup(
        "/setup answers to: Mentions and replies channel: #news", "answers", to="mentions", channel=CHANNEL
    )
    await recorder.setup("/setup show", "show")
    await recorder.setup("/setup reset", "reset")


async def record(library: Library) -> str:
    """The session as Markdown."""
    server = FakeDiscord()
    await server.start()
    base, gateway = discord.http.Route.BASE, discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY
    discord.http.Route.BASE = server.api
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = server.gateway
    try:
        with tempfile.TemporaryDirectory() as folder:
            desk = Desk(library, store=SqliteStore(Path(folder) / "settings.sqlite3"))
            bot = SourcelineBot(desk, guild_ready_timeout=0)
            running = asyncio.create_task(bot.start(TOKEN))
            await asyncio.wait_for(server.ready.wait(), 30)
            await server.enter_guild()
            recorder = Recorder(server)
            await play(recorder)
            await bot.close()
            await running
    finally:
        discord.http.Route.BASE, discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = base, gateway
        await server.stop()
    return "\n".join(recorder.lines)


def main() -> None:
    """Print the session."""
    library = load_library(seeds_folder(), Models.load(cache=default_cache_folder()))
    sys.stdout.write(asyncio.run(record(library)))


if __name__ == "__main__":
    main()
