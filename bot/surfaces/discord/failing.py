"""The one door for what goes wrong in an interaction: a line for the reader, a traceback for the host."""

from __future__ import annotations

import logging
import secrets
from typing import Any

import aiohttp
import discord

from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.render import NOBODY

log = logging.getLogger(__name__)

BROKEN = "Something went wrong here (reference {reference}). Please try again."
NOT_ALLOWED = "I may not write here. Ask a moderator to let me, or write me a direct message."
BUSY = "I am busy right now: please try again in a minute."
UNKNOWN_INTERACTION, ALREADY_ACKNOWLEDGED, MISSING_PERMISSIONS = 10062, 40060, 50013

UNREACHABLE = (discord.HTTPException, discord.RateLimited, aiohttp.ClientError, OSError)

Interaction = discord.Interaction[Any]


def why(error: BaseException) -> str:
    """What went wrong with a call, without anybody's words."""
    if isinstance(error, discord.HTTPException):
        return f"status {error.status}, code {error.code}"
    return type(error).__name__


async def say(
    interaction: Interaction, text: str, *, private: bool = True, view: discord.ui.View | None = None
) -> None:
    """Answer an interaction, first or further; private unless told otherwise; never a ping."""
    extra: dict[str, Any] = {"view": view} if view else {}
    if interaction.response.is_done():
        await interaction.followup.send(text, ephemeral=private, allowed_mentions=NOBODY, **extra)
    else:
        await interaction.response.send_message(text, ephemeral=private, allowed_mentions=NOBODY, **extra)


async def taken(interaction: Interaction, desk: Desk) -> bool:
    """Whether an interaction was taken in hand; where it is too much, the reader is told so."""
    if desk.take():
        return True
    try:
        if interaction.type is not discord.InteractionType.autocomplete:
            await say(interaction, BUSY)
    except UNREACHABLE as error:
        log.debug("nobody could be told to wait: %s", why(error))
    return False


async def failed(interaction: Interaction, desk: Desk, error: BaseException) -> None:
    """Tell the reader in one line; an interaction that is over, or answered elsewhere, is no error. Never raises."""
    code = error.code if isinstance(error, discord.HTTPException) else None
    if isinstance(error, discord.InteractionResponded) or code in (UNKNOWN_INTERACTION, ALREADY_ACKNOWLEDGED):
        log.debug("an interaction expired or was answered before: code %s", code)
        desk.metrics.failures["undelivered"] += 1
        return
    if isinstance(error, discord.Forbidden):
        log.info("a reply was refused: code %s", code)
        desk.metrics.failures["undelivered"] += 1
        text = NOT_ALLOWED
    else:
        reference = secrets.token_hex(4)
        log.error("interaction failed, reference %s", reference, exc_info=error)
        desk.metrics.failures["error"] += 1
        text = BROKEN.format(reference=reference)
    try:
        await say(interaction, text)
    except UNREACHABLE as again:
        log.info("a reader could not be told: %s", why(again))
