"""A story's names and words, and what asks for its gist."""

from __future__ import annotations

import pytest

from bot.answering.asks import asks_for_gist
from bot.answering.vocabulary import Vocabulary
from bot.story.table import Fact, FactTable, Gap

LINES = ("North Korea sent troops to Russia.", "The North Korean soldiers fought in Kursk, the West said.")
TABLE = FactTable(
    "North Korea confirms it",
    "x.txt",
    "0" * 64,
    (Fact("who", "who", "North Korea", 1, "North Korea", ("Which country sent its army?",)),),
    (Gap("cost", ("What was the price?",), "The story gives no price."),),
    {"North Korea": ("NK", "DPRK", "the North", "the West"), "Russia": ("Moscow",)},
)
VOCABULARY = Vocabulary(LINES, TABLE, {"when": 1, "did": 2, "confirm": 3})


@pytest.mark.parametrize(
    ("message", "normalised"),
    [
        ("did nk confirm", "did North Korea confirm"),
        ("did the dprk confirm", "did the North Korea confirm"),
        ("what did the North say", "what did North Korea say"),
        ("the north korean soldiers", "the north korean soldiers"),
        ("what did the West say", "what did the West say"),
        ("tropps in kursc", "troops in kursk"),
        ("snk nkx", "snk nkx"),
    ],
)
def test_names_become_the_storys(message: str, normalised: str) -> None:
    """Aliases are replaced as whole words, unless the story uses them itself or they begin a longer name of it."""
    assert VOCABULARY.normalised(message) == normalised


def test_known_words_come_from_lines_aliases_and_facts() -> None:
    """A word is known in any of its forms; the rest is unknown."""
    assert VOCABULARY.unknown_share("the troop's army") == 0
    assert VOCABULARY.unknown_share("its prices") == 1
    assert VOCABULARY.unknown_share("penguin soldiers") == 0.5
    assert VOCABULARY.unknown_share("why?") == 0


@pytest.mark.parametrize(
    ("message", "gist"),
    [
        ("so whats all the fuss about", True),
        ("what was the hype about the vaccine about", False),
        ("what's this story about?", True),
        ("whats this about", True),
        ("tldr", True),
        ("yo whats the big news here in short", True),
        ("tl;dr pls", True),
        ("can you summarize the article", True),
        ("just got here, whats the story about? short version", True),
        ("what happened?", True),
        ("what is the treaty about?", False),
        ("what happened in Kursk?", False),
        ("what happened next?", False),
        ("what happened to them?", False),
        ("summary of the treaty", False),
        ("when was it?", False),
    ],
)
def test_what_asks_for_the_gist(message: str, gist: bool) -> None:
    """The whole story is asked for only where nothing of it is named."""
    assert asks_for_gist(message) is gist
