"""The recorded session of the docs: it plays, and it is the one that the docs show."""

from __future__ import annotations

from pathlib import Path

from bot.surfaces.discord.library import Library
from tests.discord.session import record

SESSION = Path(__file__).resolve().parents[2] / "docs" / "discord-session.md"


def doings(text: str) -> list[str]:
    """What people do in a session; what the bot says may change with its models."""
    return [line for line in text.splitlines() if line.startswith(("## ", "**Ann", "**Bob", "**Mia", "*Ann", "*Bob"))]


async def test_the_docs_show_the_session_that_is_played(library: Library) -> None:
    """Record it anew with `python -m tests.discord.session` when this fails."""
    played = await record(library)
    assert doings(played) == doings(SESSION.read_text("utf-8"))
    assert played.count("> **Sourceline**") == SESSION.read_text("utf-8").count("> **Sourceline**")
