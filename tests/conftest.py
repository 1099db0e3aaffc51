"""Real parts, loaded once for the whole run."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.answering.matcher import Models
from bot.answering.responder import Responder, build_responder
from bot.story.library import load_story

SEED = Path(__file__).resolve().parents[1] / "seeds" / "north-korea-troops.txt"
WHEN_CONFIRMED = "April 28, two days after Moscow’s top military leadership acknowledged the move"


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of encodings that the run shares."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def models(cache_folder: Path) -> Models:
    """The shipped models."""
    return Models.load(cache=cache_folder)


@pytest.fixture(scope="session")
def seed_responder(models: Models) -> Responder:
    """The seed story with its reviewed table."""
    return build_responder(load_story(SEED), models)
