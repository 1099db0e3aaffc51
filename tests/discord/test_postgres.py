"""Settings in a real PostgreSQL, which the test starts for itself.

Needs PostgreSQL's server programs, so these tests run only when asked for: `pytest -m postgres`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.library import Library
from bot.surfaces.discord.moderating import NOT_KEPT
from bot.surfaces.discord.postgres_store import PostgresStore
from bot.surfaces.discord.preferences import RETRY_S
from bot.surfaces.discord.store import Choices, StoreUnavailableError
from tests.discord.conftest import Clock, connected
from tests.discord.loopback import GUILD, TOKEN, FakeDiscord
from tests.discord.test_process import start
from tests.discord.test_setup import told

pytestmark = pytest.mark.postgres


def program(name: str) -> str:
    """Where a program of PostgreSQL's server is."""
    found = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)]
    chosen = next(iter([*found, shutil.which(name) or ""]))
    assert chosen, f"PostgreSQL's {name} is not installed: install it, or leave these tests out"
    return chosen


@dataclass
class Postgres:
    """A server of one test run, on a free port of this machine."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql://tester@127.0.0.1:{self.port}/postgres"

    def run(self, *arguments: str) -> None:
        """Run a program as somebody without rights: PostgreSQL refuses root."""
        user = pwd.getpwnam("nobody") if os.getuid() == 0 else None
        subprocess.run(
            arguments, check=True, capture_output=True, cwd="/", timeout=60,
            user=user.pw_uid if user else None, group=user.pw_gid if user else None,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        data, log = str(self.folder / "data"), str(self.folder / "log")
        # Not through `run`: the server inherits the pipes and keeps them open.
        user = pwd.getpwnam("nobody") if os.getuid() == 0 else None
        subprocess.run(
            [program("pg_ctl"), "-D", data, "-o", options, "-l", log, "-w", "start"],
            check=True, cwd="/", timeout=60, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, user=user.pw_uid if user else None, group=user.pw_gid if user else None,
        )  # fmt: skip

    def stop(self) -> None:
        self.run(program("pg_ctl"), "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL that is thrown away."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            server = Postgres(folder, free.getsockname()[1])
        server.run(program("initdb"), "-D", str(folder / "data"), "-U", "tester", "-A", "trust", "-E", "UTF8")
        server.start()
        yield server
        server.stop()


async def test_choices_are_kept_changed_and_removed(postgres: Postgres) -> None:
    """What is saved is loaded by another process; empty choices and a forgotten server leave no row."""
    one, other = PostgresStore(postgres.url), PostgresStore(postgres.url)
    chosen = Choices("north-korea-troops", "nothing", True)
    await asyncio.gather(one.save(1, 0, Choices(private=False)), other.save(2**62, 7, chosen))
    assert await other.load(1) == {0: Choices(private=False)}
    assert await one.load(2**62) == {7: chosen}
    assert await one.servers() == {1, 2**62}
    await one.save(1, 0, Choices())
    await other.forget(2**62)
    assert await one.servers() == set()
    await one.close()
    await other.close()


async def test_the_settings_belong_to_the_application_that_asked_first(postgres: Postgres) -> None:
    """Of two at the same moment too; both are told the same."""
    one, other = PostgresStore(postgres.url), PostgresStore(postgres.url)
    owners = await asyncio.gather(one.owner(1000), other.owner(2**62))
    assert owners[0] == owners[1]
    assert owners[0] in (1000, 2**62)
    async with one._connection() as db:
        await db.execute("DELETE FROM sourceline_application")
    assert [await one.owner(1000), await other.owner(2**62)] == [1000, 1000]
    await one.close()
    await other.close()


async def test_a_server_s_setup_works_through_an_outage_of_the_database(
    server: FakeDiscord, library: Library, clock: Clock, postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    """Two bots share the settings; while PostgreSQL is away both go on, and nothing is lost."""
    desk = Desk(library, store=PostgresStore(postgres.url), clock=clock)
    async with connected(server, desk):
        await server.enter_guild()
        await server.setup("private", private=True)
        assert "the asker alone" in await told(server)
        await asyncio.to_thread(postgres.stop)
        with caplog.at_level(logging.ERROR):
            for _ in range(2):
                await server.setup("answers", to="nothing")
                assert await told(server) == NOT_KEPT
        assert len([r for r in caplog.records if "settings cannot be" in r.message]) == 1
        assert postgres.url not in caplog.text
        assert await desk.preferences.all(int(GUILD)) == {}
        await asyncio.to_thread(postgres.start)
        clock.now += RETRY_S + 1
        await server.setup("answers", to="nothing")
        assert "commands still work" in await told(server)
        assert await desk.preferences.all(int(GUILD)) == {0: Choices(hears="nothing", private=True)}
        await server.push("GUILD_DELETE", {"id": GUILD})
        await server.slash("help")
        await server.call(ending="/callback")
    store = PostgresStore(postgres.url)
    assert await store.servers() == set()
    await store.close()


async def test_two_processes_share_their_settings_and_nothing_else(
    server: FakeDiscord, cache_folder: Path, tmp_path: Path, postgres: Postgres
) -> None:
    """Each identifies its own shard, one publishes the commands, and what is chosen at one holds at the other."""
    processes = []
    for shard in range(2):
        server.ready.clear()
        env = {"SHARD_COUNT": "2", "POD_INDEX": f"sourceline-{shard}", "DATABASE_URL": postgres.url}
        data = str(tmp_path / str(shard))
        processes.append(await start(server, cache_folder, "run", DISCORD_TOKEN=TOKEN, SOURCELINE_DATA=data, **env))
        await asyncio.wait_for(server.ready.wait(), 60)
    assert [identified["shard"] for identified in server.identifies] == [[0, 2], [1, 2]]
    await server.setup("private", private=True)
    assert "the asker alone" in await told(server)
    server.shard = 1
    await server.setup("show")
    assert "the asker alone" in await told(server)
    puts = [call for call in server.log if call.method == "PUT"]
    assert len(puts) == 1
    for process in processes:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 0
    store = PostgresStore(postgres.url)
    await store.forget(int(GUILD))
    await store.close()


async def test_a_database_that_is_not_there_is_one_clause_without_its_address() -> None:
    """The message names the kind of error, never the URL."""
    store = PostgresStore("postgresql://reader:secret@127.0.0.1:1/nowhere")
    with pytest.raises(StoreUnavailableError) as told:
        await store.load(1)
    assert str(told.value).startswith("PostgreSQL: ")
    assert "secret" not in str(told.value)


async def test_a_newer_schema_is_left_alone(postgres: Postgres) -> None:
    """The version stands in the database; one from the future is neither read nor written."""
    store = PostgresStore(postgres.url)
    await store.servers()
    async with store._connection() as db:
        await db.execute("UPDATE sourceline_schema SET version = 99")
    newer = PostgresStore(postgres.url)
    with pytest.raises(StoreUnavailableError, match="newer version"):
        await newer.load(1)
    async with store._connection() as db:
        await db.execute("UPDATE sourceline_schema SET version = 1")
    await store.close()
    await newer.close()
