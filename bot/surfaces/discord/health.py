"""/healthz and /metrics on a port of the host's choice."""

from __future__ import annotations

import math

from aiohttp import web

from bot.surfaces.discord.client import SourcelineBot


def shards_connected(bot: SourcelineBot) -> dict[int, bool]:
    """Which of this process's shards are connected; a shard that was never acknowledged is not."""
    return {n: not shard.is_closed() and math.isfinite(shard.latency) for n, shard in bot.shards.items()}


class Health:
    """A small web server; `port` 0 takes a free one, `address` says which."""

    def __init__(self, bot: SourcelineBot, host: str, port: int) -> None:
        self._bot, self._host, self._port = bot, host, port
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)

    @property
    def address(self) -> str:
        """Where the server listens."""
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def start(self) -> None:
        """Listen. Raises OSError where the port is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _healthz(self, request: web.Request) -> web.Response:
        del request
        shards = shards_connected(self._bot)
        good = self._bot.is_ready() and bool(shards) and all(shards.values())
        return web.Response(text="ok\n" if good else "not connected\n", status=200 if good else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        del request
        desk = self._bot.desk
        text = desk.metrics.text(shards_connected(self._bot), desk.waiting, desk.tables())
        return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
