"""The stories that a bot serves, each with its responder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.answering.matcher import Models
from bot.answering.responder import Responder, build_responder
from bot.errors import UsageError
from bot.story.library import load_story, story_paths


@dataclass(frozen=True)
class Library:
    """Responders by story name; `default` is the story of a place that has chosen none."""

    responders: Mapping[str, Responder]
    default: str

    def responder(self, name: str | None = None) -> Responder:
        """The responder of a story; the default one for an unknown or missing name."""
        return self.responders.get(name or self.default, self.responders[self.default])


def load_library(folder: Path, models: Models) -> Library:
    """Load every story of a folder. Raises StoryError or TableError for a broken one, UsageError for none."""
    paths = story_paths(folder) if folder.is_dir() else []
    if not paths:
        raise UsageError(f"There is no story in {folder}: put an article there or set SOURCELINE_STORIES.")
    stories = [load_story(path) for path in paths]
    return Library({story.name: build_responder(story, models) for story in stories}, stories[0].name)
