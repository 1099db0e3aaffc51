"""Passages: the pieces of an article that are ranked and read."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from bot.story.article import Article

# The encoder cuts a text at 160 tokens. A word or a mark is 1.2 of them in news, four characters make one at the least;
# figures are more.
PASSAGE_CHARACTERS = 600
PASSAGE_WORDS = 125

_WORD_OR_MARK = re.compile(r"\w+|[^\w\s]")
_CLAUSE_END, _BLANK = re.compile(r"[;,]\s+"), re.compile(r"\s+")


@dataclass(frozen=True)
class Passage:
    """A line of the article, or a run of sentences of a very long one; `start` is its offset in the line."""

    line: int
    start: int
    text: str


def passages_of(article: Article) -> tuple[Passage, ...]:
    """The article's lines that hold words; a very long line in runs of sentences, clauses or words."""
    found: list[Passage] = []
    for number, line in enumerate(article.lines, 1):
        if not re.search(r"\w", line):
            continue
        if _fits(line):
            found.append(Passage(number, 0, line))
            continue
        sentences = [(s.start, s.start + len(s.text)) for s in article.sentences if s.line == number]
        found += [Passage(number, start, line[start:stop]) for start, stop in _runs(line, sentences)]
    return tuple(found)


def _fits(text: str) -> bool:
    return len(text) <= PASSAGE_CHARACTERS and len(_WORD_OR_MARK.findall(text)) <= PASSAGE_WORDS


def _runs(line: str, pieces: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pieces of a line, from and to, joined as far as they fit; one that is too long by itself is cut further."""
    found: list[tuple[int, int]] = []
    for start, stop in pieces:
        if found and _fits(line[found[-1][0] : stop]):
            found[-1] = (found[-1][0], stop)
        elif _fits(line[start:stop]):
            found.append((start, stop))
        else:
            found += _cut(line, start, stop)
    return found


def _cut(line: str, start: int, stop: int) -> list[tuple[int, int]]:
    """A piece in parts that fit, each as long as may be: behind a clause, else behind a word, else anywhere."""
    found = []
    while not _fits(line[start:stop]):
        sizes = range(PASSAGE_CHARACTERS + 2)  # the last of them never fits
        end = start + bisect_left(sizes, 1, key=lambda size: not _fits(line[start : start + size])) - 1
        breaks = [*_CLAUSE_END.finditer(line, start + 1, end)] or [*_BLANK.finditer(line, start + 1, end)]
        end = breaks[-1].end() if breaks else end
        found.append((start, end))
        start = end
    return [*found, (start, stop)]
