"""Publishing the commands: only when what Discord has differs from what the bot has."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import discord
from discord import app_commands

log = logging.getLogger(__name__)

ENTRY_POINT = 4  # Discord's own command of an app with an activity; it is none of ours

_COMMAND = {"type": 1, "description": "", "default_member_permissions": None, "nsfw": False}
_OPTION = {
    "description": "", "required": False, "autocomplete": False,
    "min_value": None, "max_value": None, "min_length": None, "max_length": None,
}  # fmt: skip


def canonical(command: Mapping[str, Any]) -> dict[str, Any]:
    """A command with its defaults written out, so that Discord's form and ours can be compared."""
    permissions = command.get("default_member_permissions")
    return {
        "name": command["name"],
        **{key: command.get(key) or value for key, value in _COMMAND.items()},
        "default_member_permissions": None if permissions is None else str(permissions),
        "contexts": sorted(command.get("contexts") or []),
        "integration_types": sorted(command.get("integration_types") or []),
        "options": [_option(option) for option in command.get("options") or []],
    }


def _option(option: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": option["type"],
        "name": option["name"],
        **{key: option.get(key, value) for key, value in _OPTION.items()},
        "channel_types": sorted(option.get("channel_types") or []),
        "choices": [(choice["name"], choice["value"]) for choice in option.get("choices") or []],
        "options": [_option(nested) for nested in option.get("options") or []],
    }


def _ordered(commands: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return sorted(map(canonical, commands), key=lambda command: (command["type"], command["name"]))


async def sync(tree: app_commands.CommandTree[Any], client: discord.Client) -> bool:
    """Publish the commands if they changed; whether they had. An unreachable list is no reason not to serve."""
    if client.application_id is None:
        return False
    ours: list[Any] = [command.to_dict(tree) for command in tree.get_commands()]
    try:
        published: list[Any] = list(await client.http.get_global_commands(client.application_id))
        # Discord refuses a list that leaves its own command out.
        wanted = [*ours, *(command for command in published if command.get("type", 1) == ENTRY_POINT)]
        if _ordered(wanted) == _ordered(published):
            log.info("commands are up to date")
            return False
        await client.http.bulk_upsert_global_commands(client.application_id, wanted)
    except discord.HTTPException as error:
        log.error("commands could not be published: status %s, code %s", error.status, error.code)
        return False
    log.info("commands were published: %d", len(ours))
    return True
