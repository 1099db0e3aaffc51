"""The one door for what goes wrong in an interaction: a line for the reader, a traceback for the host."""

from __future__ import annotations

import logging
import secrets
from typing import Any

import aiohttp
import discord
from discord import app_commands

from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.render import NOBODY

log = logging.getLogger(__name__)

BROKEN = "Something went wrong here (reference {reference}). Please try again."
NOT_ALLOWED = "I may not write here. Ask a moderator to let me, or write me a direct message."
BUSY = "I am busy right now: please try again in a minute."
CHANGED = "That command has changed: reload Discord, and it shows the new one."

# Codes of an interaction that is over: unknown (three seconds), its webhook unknown or its token invalid (a quarter of
# an hour), or answered before.
OVER = (10062, 10015, 50027, 40060)

UNREACHABLE = (discord.HTTPException, discord.RateLimited, aiohttp.ClientError, OSError)

Interaction = discord.Interaction[Any]


def why(error: BaseException) -> str:
    """What went wrong with a call, without anybody's words."""
    if isinstance(error, discord.HTTPException):
        return f"status {error.status}, code {error.code}"
    return type(error).__name__


def is_over(error: BaseException | None) -> bool:
    """Whether an error says only that an interaction expired or was answered before."""
    return isinstance(error, discord.InteractionResponded) or (
        isinstance(error, discord.HTTPException) and error.code in OVER
    )


async def say(
    interaction: Interaction, text: str, *, private: bool = True, view: discord.ui.View | None = None
) -> None:
    """Answer an interaction, first or further; private unless told otherwise; never a ping or a link's preview."""
    extra: dict[str, Any] = {"view": view} if view else {}
    extra |= {"ephemeral": private, "allowed_mentions": NOBODY, "suppress_embeds": True}
    if interaction.response.is_done():
        await interaction.followup.send(text, **extra)
    else:
        await interaction.response.send_message(text, **extra)


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
    if is_over(error):
        log.debug("an interaction expired or was answered before: %s", why(error))
        desk.metrics.failures["undelivered"] += 1
        return
    if isinstance(error, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch):
        log.info("a command was used that this version does not have: %s", type(error).__name__)
        text = CHANGED
    elif isinstance(error, discord.Forbidden):
        log.info("a reply was refused: %s", why(error))
        desk.metrics.failures["undelivered"] += 1
        text = NOT_ALLOWED
    else:
        reference = secrets.token_hex(4)
        log.error("interaction failed, reference %s", reference, exc_info=error)
        desk.metrics.failures["error"] += 1
        text = BROKEN.format(reference=reference)
    if interaction.type is discord.InteractionType.autocomplete:  # takes choices, no words
        return
    try:
        await say(interaction, text)
    except UNREACHABLE as again:
        log.info("a reader could not be told: %s", why(again))
