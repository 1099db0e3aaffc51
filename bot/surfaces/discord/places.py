"""Where commands can be used, and the choices of stories that they share."""

from __future__ import annotations

from typing import Any, TypeVar

import discord
from discord import app_commands

from bot.story.draft import shortened
from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.render import MAX_CHOICE

NO_SUCH_STORY = "I have no such story: choose one from the list."

Command = TypeVar("Command")
Tree = app_commands.CommandTree[discord.AutoShardedClient]


def everywhere(command: Command) -> Command:
    """Usable in servers, direct messages and wherever the app is installed on an account."""
    decorated: Any = app_commands.allowed_installs(guilds=True, users=True)(command)
    made: Command = app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)(decorated)
    return made


def found_story(desk: Desk, wanted: str | None, chosen: str | None) -> str | None:
    """The story that a reader names, by name or title, else the one that holds here; None where nothing is so named.

    Readers can send what is not in the list. To answer them about another story would be worse than not to answer.
    """
    if wanted is None:
        return desk.story_name(chosen)
    typed = wanted.strip().casefold()
    return next((n for n in desk.library.responders if typed in (n.casefold(), desk.title(n).casefold())), None)


def story_choices(desk: Desk, typed: str) -> list[app_commands.Choice[str]]:
    """Stories whose name or title holds what was typed, by title."""
    wanted = typed.strip().casefold()
    names = [n for n in desk.library.responders if wanted in n.casefold() or wanted in desk.title(n).casefold()]
    return [
        app_commands.Choice(name=shortened(desk.title(name), MAX_CHOICE), value=name)
        for name in names
        if len(name) <= MAX_CHOICE
    ][:25]
