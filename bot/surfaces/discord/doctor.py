"""The doctor: a line for everything that must be right before the bot can run."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp
import discord

from bot.answering.cache import default_cache_folder
from bot.answering.matcher import Models
from bot.errors import SourcelineError, UsageError
from bot.settings import Settings
from bot.story.library import load_story, seeds_folder, story_paths
from bot.surfaces.discord.run import PORT_TAKEN, make_store
from bot.surfaces.discord.starts import RESERVE
from bot.surfaces.discord.store import StoreUnavailableError

CLOCK_TOLERANCE_S = 60.0  # snowflakes and logs stay meaningful; nothing here needs it finer
ACCESS_PERMISSIONS = discord.Permissions(
    view_channel=True, send_messages=True, send_messages_in_threads=True, read_message_history=True
)

Check = tuple[bool, str]


def check_models() -> Check:
    """Whether the models load."""
    try:
        Models.load()
    except SourcelineError as error:
        return False, f"models: {error}"
    return True, "models: loaded"


def check_tables(folder: Path) -> Iterator[Check]:
    """Whether every story of the library loads."""
    paths = story_paths(folder) if folder.is_dir() else []
    if not paths:
        yield False, f"stories: there is none in {folder}"
    for path in paths:
        try:
            story = load_story(path)
        except SourcelineError as error:
            yield False, f"story {path.stem}: {error}"
        else:
            kind = "not reviewed" if story.drafted else f"{len(story.table.gaps)} gaps"
            yield True, f"story {path.stem}: {len(story.table.facts)} facts, {kind}"


def _try_to_write(folder: Path) -> None:
    """Make a file in a folder, and the folder if need be. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def check_cache(folder: Path) -> Check:
    """Whether encodings can be kept; the bot also runs without."""
    try:
        _try_to_write(folder)
    except OSError as error:
        return True, f"cache: {folder} cannot be written ({error.strerror}); every start encodes the stories anew"
    return True, f"cache: {folder}"


def check_question_log(path: Path) -> Check:
    """Whether questions can be kept for editors, and leave the file again; the bot also runs without."""
    try:
        _try_to_write(path.parent)
        path.open("a").close()
    except OSError as error:
        return False, f"question log: {path} cannot be written ({error.strerror})"
    return True, f"question log: {path}"


async def check_port(host: str, port: int) -> Check:
    """Whether health and metrics can be told where the host wants it."""
    try:
        async with await asyncio.start_server(lambda *_: None, host, port):
            return True, f"metrics: {host}, port {port}"
    except OSError as error:
        return False, f"metrics: {PORT_TAKEN.format(port=port, reason=error.strerror)}"


async def check_store(settings: Settings) -> Check:
    """Whether moderators' choices can be read; the bot also runs without."""
    try:
        store = make_store(settings)
    except UsageError as error:
        return False, f"settings: {error}"
    kind = "PostgreSQL" if settings.database_url else str(settings.data_folder(os.environ))
    try:
        servers = await store.servers()
    except StoreUnavailableError as error:
        return False, f"settings: {error}: the bot would run with defaults"
    finally:
        await store.close()
    return True, f"settings: {kind}, of {len(servers)} servers"


async def check_discord(settings: Settings) -> list[Check]:
    """Token, application flags, intents, starts left, install link and clock, asked of Discord."""
    client = discord.AutoShardedClient(intents=discord.Intents.none())
    try:
        await client.login(settings.token)
        application = await client.application_info()
        limits = await client.fetch_session_start_limits()
    except discord.LoginFailure:
        return [(False, "token: Discord does not know it: copy it again from the developer portal, page Bot")]
    except (discord.HTTPException, discord.GatewayNotFound, aiohttp.ClientError, OSError) as error:
        return [(False, f"Discord cannot be reached ({type(error).__name__}): check the network connection")]
    finally:
        await client.close()
    link = discord.utils.oauth_url(
        application.id, permissions=ACCESS_PERMISSIONS, scopes=("bot", "applications.commands")
    )
    return [
        (True, f"token: belongs to {application.name}"),
        (True, f"application flags: {_flags(application.flags)}"),
        check_intents(settings, application.flags),
        (limits.remaining > RESERVE, f"starts: {limits.remaining} of {limits.total} are left today"),
        (True, f"install link: {link}{_missing_installs(application)}"),
        await check_clock(),
    ]


def _missing_installs(application: discord.AppInfo) -> str:
    """What the portal does not allow, where Discord tells."""
    found = {"servers": application.guild_integration_config, "accounts": application.user_integration_config}
    missing = [place for place, config in found.items() if config is None]
    if len(missing) != 1:  # none is missing, or Discord did not tell
        return ""
    return f" (installing it on {missing[0]} is off in the portal, page Installation)"


def _flags(flags: discord.ApplicationFlags) -> str:
    return ", ".join(name.replace("_", " ") for name, is_set in flags if is_set) or "none"


def check_intents(settings: Settings, flags: discord.ApplicationFlags) -> Check:
    """Whether the application may use the intents that the settings ask for."""
    allowed = flags.gateway_message_content or flags.gateway_message_content_limited
    if settings.message_content and not allowed:
        return False, "intents: MESSAGE_CONTENT is set, but Message Content Intent is off in the portal, page Bot"
    wanted = "guilds, guild messages, direct messages" + (", message content" if settings.message_content else "")
    return True, f"intents: {wanted}; message content is {'allowed' if allowed else 'off, and not needed'}"


async def check_clock() -> Check:
    """Whether this machine's clock agrees with Discord's."""
    url = f"{discord.http.Route.BASE}/gateway"
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            told = parsedate_to_datetime(response.headers.get("Date", ""))
    except (aiohttp.ClientError, OSError, ValueError):
        return True, "clock: Discord did not tell its time"
    away = abs((told - discord.utils.utcnow()).total_seconds())
    return away < CLOCK_TOLERANCE_S, f"clock: {away:.0f} s from Discord's"


def main(settings: Settings) -> int:
    """Print all checks; exit status 1 where one failed."""
    folder = settings.stories or seeds_folder()
    checks = [check_models(), *check_tables(folder), check_cache(default_cache_folder())]
    checks.append(asyncio.run(check_store(settings)))
    if settings.question_log:
        checks.append(check_question_log(settings.question_log))
    if settings.metrics_port is not None:
        checks.append(asyncio.run(check_port(settings.metrics_host, settings.metrics_port)))
    if settings.token:
        checks += asyncio.run(check_discord(settings))
    else:
        checks.append((False, "token: set DISCORD_TOKEN or DISCORD_TOKEN_FILE to run on Discord"))
    for good, told in checks:
        print(f"{'ok  ' if good else 'FAIL'} {told}")
    return 0 if all(good for good, _ in checks) else 1
