"""Every error that a person is meant to read.

SourcelineError            a sentence that says what is wrong and what to do
├── UsageError             wrong arguments, settings or files named on the command line (exit status 2)
├── StoryError             an article that cannot be read as a story
├── TableError             a fact table that breaks its rules; carries every fault
└── ModelError             a model file that is missing or damaged
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.story.lint import Fault


class SourcelineError(Exception):
    """A sentence for the person in front of the screen."""


class UsageError(SourcelineError):
    """The command line or the settings cannot be followed."""


class StoryError(SourcelineError):
    """The article cannot be read as a story."""


class ModelError(SourcelineError):
    """A model file is missing or damaged."""


class TableError(SourcelineError):
    """A fact table breaks its rules; `faults` holds every one of them."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)
