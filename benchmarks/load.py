"""Load: direct messages at a steady rate over a loopback Discord, from the gateway's event to the bot's REST call.

The bot runs as its own process, as shipped; the server stands in this one. Readers ask the table's own questions, as
autocomplete hands them out; a share of them (`--fresh 0.1`) is worded as in no table, and has to be worked out.

    python -m benchmarks.load --rate 50 --seconds 60
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict, deque
from pathlib import Path
from typing import Any

from bot.story.library import load_story, seeds_folder, story_paths
from tests.discord.loopback import ANN, TOKEN, Call, FakeDiscord

# Points discord.py at the loopback server, then runs the package as `python -m bot` does.
LAUNCHER = """
import runpy, sys, discord, yarl
discord.http.Route.BASE = sys.argv[1]
discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(sys.argv[2])
sys.argv = ["bot", "run"]
runpy.run_module("bot", run_name="__main__")
"""
PATIENCE_S = 120.0
PARTS = 4  # memory is read between them: what is remembered of readers fills up first, and is bounded
FIRST_READER = 100_000


def memory_mb(process: int) -> float:
    """The resident memory of a process."""
    for line in Path(f"/proc/{process}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return float("nan")


class Load:
    """Readers, each with a direct channel, who ask in turn; notes when an answer's REST call comes in."""

    def __init__(self, server: FakeDiscord, questions: list[str], readers: int, fresh: float) -> None:
        self._server, self._questions, self._readers, self._fresh = server, questions, readers, fresh
        self._sent: dict[str, deque[float]] = defaultdict(deque)
        self._asked = 0
        self.took: list[float] = []
        self.twice = 0
        self._all_in = asyncio.Event()

    async def run(self, rate: float, seconds: float) -> int:
        """Send at a steady rate, then wait for the last answers; how many were sent."""
        self._server.on_call = self._note
        count, begin = int(rate * seconds), time.monotonic()
        first = len(self.took)
        for n in range(count):
            await asyncio.sleep(max(0.0, begin + n / rate - time.monotonic()))
            await self._ask(first + n)
        await self._rest()
        return count

    async def warm_up(self) -> None:
        """Ask every question once, one after the other."""
        self._server.on_call = self._note
        for n in range(len(self._questions)):
            await self._ask(n)
            await self._rest()
        self.took.clear()

    async def _ask(self, n: int) -> None:
        number = str(FIRST_READER + n % self._readers)
        text = self._questions[n % len(self._questions)]
        if int(n * self._fresh) != int((n + 1) * self._fresh):
            text = f"tell us, {text.rstrip('?')} (asked by {n})?"
        self._asked += 1
        self._all_in.clear()
        self._sent[number].append(time.monotonic())
        await self._server.dm(text, {**ANN, "id": number}, channel_id=number)

    async def _rest(self) -> None:
        try:
            await asyncio.wait_for(self._all_in.wait(), PATIENCE_S)
        except TimeoutError:
            print(f"{self._asked} messages are not answered after {PATIENCE_S:.0f} s", file=sys.stderr)

    def _note(self, call: Call) -> None:
        if call.method != "POST" or not call.path.endswith("/messages"):
            return
        waiting = self._sent[call.path.split("/")[2]]
        if not waiting:
            self.twice += 1
            return
        self.took.append(call.at - waiting.popleft())
        self._asked -= 1
        if not self._asked:
            self._all_in.set()


def table_questions() -> list[str]:
    """A question of every fact of the first story."""
    story = load_story(story_paths(seeds_folder())[0])
    return [fact.questions[0] for fact in story.table.facts]


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Start server and bot, load them, and stop them."""
    server = FakeDiscord()
    await server.start()
    with tempfile.TemporaryDirectory() as data:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", LAUNCHER, server.api, str(server.gateway),
            env={**os.environ, "DISCORD_TOKEN": TOKEN, "SOURCELINE_DATA": data, "LOG_LEVEL": "ERROR"},
        )  # fmt: skip
        await asyncio.wait_for(server.ready.wait(), PATIENCE_S)
        load = Load(server, table_questions(), options.readers, options.fresh)
        await load.warm_up()
        memory = [memory_mb(process.pid)]
        sent = 0
        for _ in range(PARTS):
            sent += await load.run(options.rate, options.seconds / PARTS)
            memory.append(memory_mb(process.pid))
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), PATIENCE_S)
    await server.stop()
    return {"sent": sent, "took": load.took, "twice": load.twice, "memory": memory}


def main() -> int:
    """Measure and print; status 1 where a message was not answered, or twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=50.0, help="messages a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--readers", type=int, default=1000, help="who ask in turn; none so fast as to be slowed down")
    parser.add_argument("--fresh", type=float, default=0.0, help="share of questions worded as in no table, 0 to 1")
    options = parser.parse_args()
    found = asyncio.run(measure(options))
    took = sorted(1000 * seconds for seconds in found["took"])
    print(f"sent       {found['sent']} messages, {options.rate:g} a second")
    print(f"answered   {len(took)}, twice {found['twice']}")
    if len(took) > 1:
        hundredths = statistics.quantiles(took, n=100, method="inclusive")
        print(f"p50        {statistics.median(took):.1f} ms from event to REST call")
        print(f"p99        {hundredths[98]:.1f} ms, longest {took[-1]:.1f} ms")
    start, *parts = found["memory"]
    print(f"memory     {start:.1f} MB at the start, then {', '.join(f'{mb:.1f}' for mb in parts)} MB at the end")
    return 0 if len(took) == found["sent"] and not found["twice"] else 1


if __name__ == "__main__":
    sys.exit(main())
