"""Choices in PostgreSQL: the store of a bot that runs as several processes (extra `postgres`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from bot.surfaces.discord.store import SCHEMA_VERSION, Choices, StoreUnavailableError, hears_of

CONNECT_TIMEOUT_S, COMMAND_TIMEOUT_S, CLOSE_TIMEOUT_S = 3.0, 2.0, 0.5
_LOCK = 1_397_051_216  # any number that every process of this bot takes: one of them makes the tables and owns them

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sourceline_schema (version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS sourceline_choices (
    server BIGINT NOT NULL, place BIGINT NOT NULL, story TEXT, hears TEXT, private BOOLEAN,
    PRIMARY KEY (server, place)
);
CREATE TABLE IF NOT EXISTS sourceline_application (id BIGINT NOT NULL);
INSERT INTO sourceline_schema SELECT $version WHERE NOT EXISTS (SELECT 1 FROM sourceline_schema);
""".replace("$version", str(SCHEMA_VERSION))
_OWN = "INSERT INTO sourceline_application SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM sourceline_application)"


class PostgresStore:
    """A small pool, made when first needed; the server may be away and come back."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: Any = None
        self._opening = asyncio.Lock()

    async def load(self, server: int) -> dict[int, Choices]:
        """The choices of a server by place."""
        async with self._connection() as db:
            rows = await db.fetch(
                "SELECT place, story, hears, private FROM sourceline_choices WHERE server = $1", server
            )
        return {row["place"]: Choices(row["story"], hears_of(row["hears"]), row["private"]) for row in rows}

    async def save(self, server: int, place: int, choices: Choices) -> None:
        """Keep the choices of a place; empty ones remove the place."""
        async with self._connection() as db, db.transaction():
            await db.execute("DELETE FROM sourceline_choices WHERE server = $1 AND place = $2", server, place)
            if choices != Choices():
                row = (server, place, choices.story, choices.hears, choices.private)
                await db.execute("INSERT INTO sourceline_choices VALUES ($1, $2, $3, $4, $5)", *row)

    async def forget(self, server: int) -> None:
        """Remove everything of a server."""
        async with self._connection() as db:
            await db.execute("DELETE FROM sourceline_choices WHERE server = $1", server)

    async def servers(self) -> set[int]:
        """The servers that something is kept of."""
        async with self._connection() as db:
            return {row["server"] for row in await db.fetch("SELECT DISTINCT server FROM sourceline_choices")}

    async def owner(self, application: int) -> int:
        """The application that everything is kept for: the first one that asked."""
        async with self._connection() as db, db.transaction():
            await db.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            await db.execute(_OWN, application)
            return int(await db.fetchval("SELECT id FROM sourceline_application"))

    async def close(self) -> None:
        """Close all connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), CLOSE_TIMEOUT_S)
            except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pool.terminate()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        try:
            pool = await self._opened()
            async with pool.acquire(timeout=CONNECT_TIMEOUT_S) as db:
                yield db
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError) as error:
            # The error's own words may hold the URL with its password.
            raise StoreUnavailableError(f"PostgreSQL: {type(error).__name__}") from error

    async def _opened(self) -> Any:
        async with self._opening:
            if self._pool is None:
                pool = await asyncpg.create_pool(
                    self._url, min_size=0, max_size=4, timeout=CONNECT_TIMEOUT_S, command_timeout=COMMAND_TIMEOUT_S
                )
                try:
                    await self._prepare(pool)
                except BaseException:
                    pool.terminate()
                    raise
                self._pool = pool
            return self._pool

    @staticmethod
    async def _prepare(pool: Any) -> None:
        async with pool.acquire(timeout=CONNECT_TIMEOUT_S) as db, db.transaction():
            await db.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            await db.execute(_SCHEMA)
            version = await db.fetchval("SELECT version FROM sourceline_schema")
        if version > SCHEMA_VERSION:
            raise StoreUnavailableError("PostgreSQL: written by a newer version of Sourceline")
