"""Browsing: what the story says, its lines, itself; help and privacy."""

from __future__ import annotations

from typing import Literal

from discord import app_commands

from bot.story.draft import shortened
from bot.surfaces.discord.buttons import facts_page
from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.failing import Interaction, say
from bot.surfaces.discord.places import NO_SUCH_STORY, Tree, everywhere, found_story, story_choices
from bot.surfaces.discord.render import escaped, with_neighbours

HELP = (
    "I answer questions about the story “{title}”, and show the line that says so. What the story doesn't say, I don't "
    "answer.\n"
    "- **Ask:** use /ask, write me a direct message, or mention me; to ask on, mention me in a reply to my answer.\n"
    "- **Check:** open the menu of anybody's message, Apps, *Check against the story*; only you see what it says.\n"
    "- **Browse:** /facts, /line and /story show what I answer from.\n"
    "- **Yours:** /privacy says what I keep, /forget-me clears it. Moderators choose with /setup."
)
PRIVACY = (
    "I keep your last questions and answers in memory for 15 minutes, so that follow-ups, edits and buttons work. "
    "{log} /forget-me clears the memory now."
)
NO_LOG = "Nothing you write goes to a log or to disk."
WITH_LOG = (
    "The host of this bot also keeps the text of questions, without names, for 30 days, to see what the story "
    "leaves open. Nothing else you write goes to a log or to disk."
)
NOT_TOLD, NOT_REVIEWED = "not given", "none, the facts were drafted by the bot"
MAX_VALUE = 200  # characters of a title, a date, a source: markup at most doubles each, and all of them fit
FORGOTTEN = "Done: I have forgotten our conversation."


def add_browsing(tree: Tree, desk: Desk) -> None:
    """Add /facts, /line and /story."""

    async def named(interaction: Interaction, story: str | None) -> str | None:
        choices = await desk.choices(interaction.guild_id, interaction.channel)
        name = found_story(desk, story, choices.story)
        if name is None:
            await say(interaction, NO_SUCH_STORY)
        return name

    async def stories(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        del interaction
        return story_choices(desk, typed)

    @tree.command(name="facts", description="Browse what the story says")
    @app_commands.describe(by="How the facts are grouped", page="Where to begin", story="Which story")
    @app_commands.autocomplete(story=stories)
    @everywhere
    async def facts(
        interaction: Interaction,
        by: Literal["topic", "line", "kind"] = "topic",
        page: app_commands.Range[int, 1, 9999] = 1,
        story: str | None = None,
    ) -> None:
        name = await named(interaction, story)
        if name is not None:
            text, view = facts_page(desk, name, by, page)
            await say(interaction, text, view=view)

    @tree.command(name="line", description="Show a line of the story with its neighbours")
    @app_commands.describe(number="The line's number", story="Which story")
    @app_commands.autocomplete(story=stories)
    @everywhere
    async def line(interaction: Interaction, number: int, story: str | None = None) -> None:
        name = await named(interaction, story)
        if name is None:
            return
        lines = desk.responder(name).story.article.lines
        if not 1 <= number <= len(lines) or not lines[number - 1].strip():
            await say(interaction, f"The story has no text on line {number}: it has lines 1 to {len(lines)}.")
            return
        await say(interaction, with_neighbours(lines, number))

    @tree.command(name="story", description="What this bot answers from")
    @app_commands.describe(story="Which story")
    @app_commands.autocomplete(story=stories)
    @everywhere
    async def about(interaction: Interaction, story: str | None = None) -> None:
        name = await named(interaction, story)
        if name is not None:
            await say(interaction, _about(desk, name))


def _about(desk: Desk, name: str) -> str:
    story = desk.library.responder(name).story
    table = story.table
    told = (
        ("Date", table.date or NOT_TOLD),
        ("Source", table.source or NOT_TOLD),
        ("Last review", table.reviewed or (NOT_REVIEWED if story.drafted else NOT_TOLD)),
    )
    title = escaped(shortened(table.title, MAX_VALUE))
    parts = [f"**{title}**", f"{len(table.facts)} facts, {len(table.gaps)} known gaps"]
    parts += [f"{label}: {escaped(shortened(value, MAX_VALUE))}" for label, value in told]
    others = len(desk.library.responders) - 1
    return "\n".join([*parts, f"{others} more to ask about: see the option story of /ask"] if others else parts)


def add_help(tree: Tree, desk: Desk) -> None:
    """Add /help, /privacy and /forget-me."""

    @tree.command(name="help", description="How to ask")
    @everywhere
    async def help_command(interaction: Interaction) -> None:
        choices = await desk.choices(interaction.guild_id, interaction.channel)
        await say(interaction, HELP.format(title=escaped(desk.title(desk.story_name(choices.story)))))

    @tree.command(name="privacy", description="What is kept of what you write")
    @everywhere
    async def privacy(interaction: Interaction) -> None:
        await say(interaction, PRIVACY.format(log=WITH_LOG if desk.question_log else NO_LOG))

    @tree.command(name="forget-me", description="Clear what is kept of our conversation")
    @everywhere
    async def forget_me(interaction: Interaction) -> None:
        desk.forget(interaction.user.id)
        await say(interaction, FORGOTTEN)
