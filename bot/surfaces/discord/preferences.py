"""Choices as the bot uses them: from memory where it can, with defaults where the store is away."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

from bot.surfaces.discord.store import Choices, Store, StoreUnavailableError, resolved

log = logging.getLogger(__name__)

FRESH_S = 60.0  # another process may have changed a server's choices
PATIENCE_S = 1.2  # an answer must begin within three seconds, settings or not, however many wait for them
RETRY_S = 30.0  # after a failure: nobody waits for a store that is away
MAX_SERVERS = 5000  # kept in memory


class Preferences:
    """Reads through to a store, remembers, and survives its absence."""

    def __init__(self, store: Store | None, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock
        self._known: OrderedDict[int, tuple[float, dict[int, Choices]]] = OrderedDict()
        self._away_until = float("-inf")
        self._told = False
        self._loading, self._writing = asyncio.Lock(), asyncio.Lock()
        self._written = 0
        self._unforgotten: set[int] = set()

    @property
    def available(self) -> bool:
        """Whether the store answered when it was last asked."""
        return self._store is not None and not self._told

    async def of(self, server: int | None, places: Iterable[int]) -> Choices:
        """What holds in a place of a server: the narrowest first. Defaults outside servers. Never raises."""
        if server is None or self._store is None:
            return Choices()
        return resolved(await self.all(server), places)

    async def all(self, server: int) -> dict[int, Choices]:
        """All choices of a server; the last known ones, or none, where the store is away. Never raises."""
        known = self._fresh(server)
        if known is not None or self._store is None:
            return known or {}
        try:
            async with asyncio.timeout(PATIENCE_S), self._loading:
                known = self._fresh(server)
                return await self._load(self._store, server) if known is None else known
        except (StoreUnavailableError, TimeoutError) as error:
            self._lost(error)
            return self._known[server][1] if server in self._known else {}

    async def change(self, server: int, place: int, **chosen: Any) -> None:
        """Change some choices of a place, keep the others. Raises StoreUnavailableError, and changes nothing then."""

        async def work(store: Store) -> None:
            before = (await store.load(server)).get(place, Choices())
            await store.save(server, place, replace(before, **chosen))

        await self._write(server, work)

    async def reset(self, server: int, place: int | None) -> None:
        """Remove the choices of a place, or of the whole server. Raises StoreUnavailableError."""

        async def work(store: Store) -> None:
            await (store.forget(server) if place is None else store.save(server, place, Choices()))

        await self._write(server, work)

    async def forget(self, server: int) -> None:
        """Remove a server's choices, later where the store is away. Never raises."""
        self._known.pop(server, None)
        self._unforgotten.add(server)
        await self._catch_up()

    async def sweep(self, application: int, gone: Callable[[int], bool]) -> bool:
        """Remove the choices of servers that the bot was removed from while it was not running; whether it could.

        Nothing is removed where the choices belong to another application: its servers are not ours to judge.
        """
        if self._store is None:
            return True
        try:
            owner = await self._store.owner(application)
            if owner != application:
                log.error(
                    "the settings belong to application %d, this is %d: give each application a data folder and a "
                    "database of its own",
                    owner,
                    application,
                )
                return True
            self._unforgotten |= {server for server in await self._store.servers() if gone(server)}
        except StoreUnavailableError as error:
            self._lost(error)
            return False
        await self._catch_up()
        return True

    async def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            await self._store.close()

    def _fresh(self, server: int) -> dict[int, Choices] | None:
        kept = self._known.get(server)
        if kept and (self._clock() - kept[0] <= FRESH_S or self._clock() < self._away_until):
            return kept[1]
        return {} if kept is None and self._clock() < self._away_until else None

    async def _load(self, store: Store, server: int) -> dict[int, Choices]:
        written = self._written
        found = await store.load(server)
        self._found()
        if written != self._written:  # what was read may be older than what was written meanwhile: read it anew then
            return found
        self._known[server] = (self._clock(), found)
        self._known.move_to_end(server)
        while len(self._known) > MAX_SERVERS:
            self._known.popitem(last=False)
        await self._catch_up()
        return found

    async def _write(self, server: int, work: Callable[[Store], Awaitable[None]]) -> None:
        if self._store is None:
            raise StoreUnavailableError("there is no store")
        async with self._writing:  # one change after the other: each keeps what the one before has chosen
            try:
                if server in self._unforgotten:  # added again meanwhile: what is chosen now must outlive the removal
                    await self._store.forget(server)
                    self._unforgotten.discard(server)
                await work(self._store)
            except StoreUnavailableError as error:
                self._lost(error)
                raise
            self._found()
            self._written += 1
            self._known.pop(server, None)

    async def _catch_up(self) -> None:
        while self._unforgotten and self._store is not None:
            server = next(iter(self._unforgotten))
            try:
                await self._store.forget(server)
            except StoreUnavailableError as error:
                self._lost(error)
                return
            self._unforgotten.discard(server)

    def _lost(self, error: Exception) -> None:
        self._away_until = self._clock() + RETRY_S
        if not self._told:
            log.error(
                "settings cannot be read or written (%s): going on with defaults, nothing is overwritten",
                str(error) or "no answer",
            )
        self._told = True

    def _found(self) -> None:
        if self._told:
            log.info("settings can be read again")
        self._told, self._away_until = False, float("-inf")
