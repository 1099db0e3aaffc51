"""/setup: what a server's moderators choose. Who may use it is decided by Discord's own command permissions."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from bot.story.draft import shortened
from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.failing import Interaction, say
from bot.surfaces.discord.places import NO_SUCH_STORY, Tree, found_story, story_choices
from bot.surfaces.discord.render import MAX_CONTENT, escaped
from bot.surfaces.discord.store import WHOLE_SERVER, Choices, Hears, StoreUnavailableError

NOT_KEPT = "The settings cannot be written right now, so nothing was changed. Ask the bot's host to look at its log."
NOT_READ = "The settings cannot be read right now: the defaults hold until they can."
NO_CONTENT = (
    "This bot's host has not switched the reading of all messages on, so I answer mentions and replies only. "
    "Nothing was changed."
)
HEARING: dict[Hears, str] = {
    "mentions": "I answer mentions and replies",
    "questions": "I answer every question, addressed to me or not",
    "nothing": "I answer no messages; commands still work",
}
MAX_SHOWN = 20  # channels listed by /setup show

# As Discord describes them: a channel that the bot cannot see can be chosen, too; a category holds for all in it.
Channel = app_commands.AppCommandChannel | app_commands.AppCommandThread


def add_setup(tree: Tree, desk: Desk) -> None:
    """Add /setup with its five subcommands."""
    group = app_commands.Group(
        name="setup",
        description="Choose what I do in this server",
        guild_only=True,
        default_permissions=discord.Permissions(manage_guild=True),
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False),
        allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
    )
    _add_story(group, desk)
    _add_answers(group, desk)
    _add_private(group, desk)
    _add_show(group, desk)
    _add_reset(group, desk)
    tree.add_command(group)


def _add_story(group: app_commands.Group, desk: Desk) -> None:
    @group.command(name="story", description="The story that is asked about when nobody names one")
    @app_commands.describe(story="Which story", channel="Only in this channel")
    async def story_command(interaction: Interaction, story: str, channel: Channel | None = None) -> None:
        name = found_story(desk, story, None)
        if name is None:
            await say(interaction, NO_SUCH_STORY)
            return
        await _change(interaction, desk, channel, story=name)

    @story_command.autocomplete("story")
    async def stories(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        del interaction
        return story_choices(desk, typed)


def _add_answers(group: app_commands.Group, desk: Desk) -> None:
    @group.command(name="answers", description="Which messages I answer")
    @app_commands.describe(to="What I answer", channel="Only in this channel")
    @app_commands.choices(
        to=[
            app_commands.Choice(name="Mentions and replies", value="mentions"),
            app_commands.Choice(name="Every question", value="questions"),
            app_commands.Choice(name="No messages, only commands", value="nothing"),
        ]
    )
    async def answers(interaction: Interaction, to: str, channel: Channel | None = None) -> None:
        if to == "questions" and not desk.message_content:
            await say(interaction, NO_CONTENT)
            return
        await _change(interaction, desk, channel, hears=to)


def _add_private(group: app_commands.Group, desk: Desk) -> None:
    @group.command(name="private", description="Whether answers to /ask are shown to the asker alone")
    @app_commands.describe(
        private="Only the asker sees answers, unless asked otherwise", channel="Only in this channel"
    )
    async def private_command(interaction: Interaction, private: bool, channel: Channel | None = None) -> None:
        await _change(interaction, desk, channel, private=private)


def _add_show(group: app_commands.Group, desk: Desk) -> None:
    @group.command(name="show", description="What is chosen now")
    async def show(interaction: Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        chosen = await desk.preferences.all(interaction.guild_id or 0)
        await say(interaction, _shown(desk, chosen))


def _add_reset(group: app_commands.Group, desk: Desk) -> None:
    @group.command(name="reset", description="Back to the defaults")
    @app_commands.describe(channel="Only in this channel; otherwise the whole server with all its channels")
    async def reset(interaction: Interaction, channel: Channel | None = None) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        try:
            await desk.preferences.reset(interaction.guild_id or 0, channel.id if channel else None)
        except StoreUnavailableError:
            await say(interaction, NOT_KEPT)
            return
        where = f"in {channel.mention}" if channel else "in this server"
        await say(interaction, f"Done: the defaults hold {where}.")


async def _change(interaction: Interaction, desk: Desk, channel: Channel | None, **chosen: Any) -> None:
    await interaction.response.defer(ephemeral=True, thinking=True)  # the store may take its time
    try:
        await desk.preferences.change(interaction.guild_id or 0, channel.id if channel else WHOLE_SERVER, **chosen)
    except StoreUnavailableError:
        await say(interaction, NOT_KEPT)
        return
    where = channel.mention if channel else "this server"
    await say(interaction, f"Done. In {where}:\n{_told(desk, Choices(**chosen))}")


def _told(desk: Desk, choices: Choices) -> str:
    parts = []
    if choices.story is not None:
        known = choices.story in desk.library.responders
        name = desk.title(choices.story) if known else f"{choices.story} (no longer here)"
        parts.append(f"- the story asked about is “{escaped(shortened(name, 150))}”")
    if choices.hears is not None:
        off = choices.hears == "questions" and not desk.message_content
        parts.append(f"- {HEARING['mentions' if off else choices.hears]}")
    if choices.private is not None:
        parts.append(f"- answers to /ask are shown to {'the asker alone' if choices.private else 'everybody'}")
    return "\n".join(parts)


def _shown(desk: Desk, chosen: dict[int, Choices]) -> str:
    defaults = Choices(desk.library.default, "mentions", False)
    parts = [] if desk.preferences.available else [NOT_READ]
    parts.append(f"**In this server**\n{_told(desk, chosen.get(WHOLE_SERVER, Choices()).over(defaults))}")
    places = sorted(place for place in chosen if place != WHOLE_SERVER)
    parts += [f"**In <#{place}>**\n{_told(desk, chosen[place])}" for place in places[:MAX_SHOWN]]
    if len(places) > MAX_SHOWN:
        parts.append(f"and {len(places) - MAX_SHOWN} more channels")
    return shortened("\n".join(parts), MAX_CONTENT)
