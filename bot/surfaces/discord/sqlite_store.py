"""Choices in an SQLite file: the store of a bot that runs as one process."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from bot.surfaces.discord.store import SCHEMA_VERSION, Choices, StoreUnavailableError, hears_of

BUSY_TIMEOUT_S = 1.0  # a reader waits for a lock no longer; SIGTERM's five seconds stay whole
CLOSE_TIMEOUT_S = 0.5

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sourceline_schema (version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS choices (
    server INTEGER NOT NULL, place INTEGER NOT NULL, story TEXT, hears TEXT, private INTEGER,
    PRIMARY KEY (server, place)
) WITHOUT ROWID;
INSERT INTO sourceline_schema SELECT {version} WHERE NOT EXISTS (SELECT 1 FROM sourceline_schema);
"""

# Not in the schema above: a file of an earlier version gets it when it is first asked for.
_OWNER = "CREATE TABLE IF NOT EXISTS sourceline_application (id INTEGER NOT NULL)"
_OWN = "INSERT INTO sourceline_application SELECT ? WHERE NOT EXISTS (SELECT 1 FROM sourceline_application)"

Result = TypeVar("Result")


class SqliteStore:
    """One connection on a thread of its own; opened when needed, opened anew after a failure."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="settings")

    async def load(self, server: int) -> dict[int, Choices]:
        """The choices of a server by place."""
        sql = "SELECT place, story, hears, private FROM choices WHERE server = ?"
        rows = await self._run(lambda db: db.execute(sql, (server,)).fetchall())
        return {
            place: Choices(story, hears_of(hears), None if private is None else bool(private))
            for place, story, hears, private in rows
        }

    async def save(self, server: int, place: int, choices: Choices) -> None:
        """Keep the choices of a place; empty ones remove the place."""

        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM choices WHERE server = ? AND place = ?", (server, place))
            if choices != Choices():
                row = (server, place, choices.story, choices.hears, choices.private)
                db.execute("INSERT INTO choices VALUES (?, ?, ?, ?, ?)", row)

        await self._run(write)

    async def forget(self, server: int) -> None:
        """Remove everything of a server."""
        await self._run(lambda db: db.execute("DELETE FROM choices WHERE server = ?", (server,)))

    async def servers(self) -> set[int]:
        """The servers that something is kept of."""
        return set(await self._run(lambda db: [row[0] for row in db.execute("SELECT DISTINCT server FROM choices")]))

    async def owner(self, application: int) -> int:
        """The application that everything is kept for: the first one that asked."""

        def own(db: sqlite3.Connection) -> int:
            db.execute(_OWNER)
            db.execute(_OWN, (application,))
            return int(db.execute("SELECT id FROM sourceline_application").fetchone()[0])

        return await self._run(own)

    async def close(self) -> None:
        """Close the file, unless what is in hand holds it too long: then the end of the process closes it."""
        closing = asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        with suppress(TimeoutError):
            await asyncio.wait_for(closing, CLOSE_TIMEOUT_S)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work)

    def _transaction(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            if self._connection is None:
                self._connection = self._connect()
            with self._connection as db:
                return work(db)
        except (sqlite3.Error, OSError) as error:
            self._disconnect()
            raise StoreUnavailableError(f"{self._path.name}: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
        try:
            with suppress(sqlite3.OperationalError):  # a read-only file can still be read
                db.execute("PRAGMA journal_mode = WAL")
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'choices'").fetchone() is None:
                db.executescript(f"BEGIN IMMEDIATE;{_SCHEMA.format(version=SCHEMA_VERSION)}COMMIT;")
            (version,) = db.execute("SELECT version FROM sourceline_schema").fetchone()
            if version > SCHEMA_VERSION:
                raise StoreUnavailableError(f"{self._path.name}: written by a newer version of Sourceline")
        except BaseException:
            db.close()
            raise
        return db

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
