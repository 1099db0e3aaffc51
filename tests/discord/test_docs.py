"""The hosting page and the examples of deployment say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from discord import app_commands

from bot.settings import Settings
from bot.surfaces.discord.client import FEATURES, SourcelineBot
from bot.surfaces.discord.desk import Desk
from bot.surfaces.discord.library import Library
from bot.surfaces.discord.metrics import Metrics

ROOT = Path(__file__).resolve().parents[2]
HOSTING = (ROOT / "docs" / "hosting.md").read_text("utf-8")
OURS = re.compile(r"\b((?:DISCORD|SOURCELINE|LOG|METRICS|SHARD|SHARDS|POD|QUESTION|DATABASE|MESSAGE)_[A-Z_]+)\b")


class Asked(dict[str, str]):
    """An environment that notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, key: str, default: str | None = None) -> str:  # type: ignore[override]
        self.names.add(key)
        return default or ""


def test_every_variable_stands_in_the_hosting_page() -> None:
    """What the settings read is in the table, and the table has nothing that is not read."""
    env = Asked()
    Settings.from_env(env)
    table = set(re.findall(r"^\| `([A-Z_]+)` \|", HOSTING, re.MULTILINE))
    assert table - {"SOURCELINE_CACHE"} == env.names


@pytest.mark.parametrize("name", ["compose.yaml", "kubernetes.yaml"])
def test_the_examples_use_variables_that_exist(name: str) -> None:
    """A variable with a slip of the pen would be ignored silently."""
    text = (ROOT / "deploy" / name).read_text("utf-8")
    known = set(re.findall(r"^\| `([A-Z_]+)` \|", HOSTING, re.MULTILINE))
    assert set(OURS.findall(text)) <= known


def test_the_image_checks_no_health_by_loading_the_models_again() -> None:
    """A second copy of them says nothing about the bot."""
    assert "HEALTHCHECK" not in (ROOT / "Dockerfile").read_text("utf-8")


def test_the_image_holds_what_several_processes_need() -> None:
    """The examples set DATABASE_URL, so the image that they run has PostgreSQL's driver."""
    assert "'.[postgres]'" in (ROOT / "Dockerfile").read_text("utf-8")
    assert "asyncpg" in (ROOT / "requirements.lock").read_text("utf-8")


def test_the_statefulset_s_pods_cover_all_shards() -> None:
    """Replicas times shards a pod is the number of shards; each pod's name gives it its own."""
    text = (ROOT / "deploy" / "kubernetes.yaml").read_text("utf-8")
    replicas = int(re.search(r"replicas: (\d+)", text)[1])  # type: ignore[index]
    count, each = (re.search(rf'name: {name}, value: "(\d+)"', text)[1] for name in ("SHARD_COUNT", "SHARDS_PER_POD"))  # type: ignore[index]
    served: list[int] = []
    for ordinal in range(replicas):
        env = {"SHARD_COUNT": count, "SHARDS_PER_POD": each, "POD_INDEX": f"sourceline-{ordinal}"}
        served += Settings.from_env(env).shard_ids or ()
    assert served == list(range(int(count)))


def test_every_metric_stands_in_the_hosting_page() -> None:
    """A host finds what a name means."""
    names = set(re.findall(r"^# TYPE (\w+)", Metrics().text({}, 0, {}), re.MULTILINE))
    assert names == set(re.findall(r"`(sourceline_\w+?)(?:\{[^}]*\})?` \|", HOSTING))


def test_every_subcommand_of_setup_stands_in_the_hosting_page(library: Library) -> None:
    """A moderator's host can look each up."""
    desk = Desk(library)
    bot = SourcelineBot(desk)
    for add in FEATURES:
        add(bot.tree, desk)
    group = bot.tree.get_command("setup")
    assert isinstance(group, app_commands.Group)
    for command in group.commands:
        assert f"`/setup {command.name}" in HOSTING
