"""Passages: the pieces of an article that are ranked and read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.story.article import Article

PASSAGE_CHARACTERS = 600  # the encoder cuts a text at 160 tokens; in news four characters make one at the least


@dataclass(frozen=True)
class Passage:
    """A line of the article, or a run of sentences of a very long one; `start` is its offset in the line."""

    line: int
    start: int
    text: str


def passages_of(article: Article) -> tuple[Passage, ...]:
    """The article's lines that hold words; a very long line in runs of whole sentences."""
    found: list[Passage] = []
    for number, line in enumerate(article.lines, 1):
        if not re.search(r"\w", line):
            continue
        if len(line) <= PASSAGE_CHARACTERS:
            found.append(Passage(number, 0, line))
            continue
        start, end = None, 0
        for sentence in (s for s in article.sentences if s.line == number):
            stop = sentence.start + len(sentence.text)
            if start is not None and stop - start > PASSAGE_CHARACTERS:
                found.append(Passage(number, start, line[start:end]))
                start = None
            start, end = (sentence.start if start is None else start), stop
        if start is not None:
            found.append(Passage(number, start, line[start:end]))
    return tuple(found)
