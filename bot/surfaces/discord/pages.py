"""The pages of /facts: what the story says, grouped by line or by the kind of question."""

from __future__ import annotations

from itertools import groupby
from typing import Literal

from bot.story.draft import shortened
from bot.story.table import Fact, FactTable
from bot.surfaces.discord.render import MAX_CONTENT, escaped

Grouping = Literal["line", "kind"]
FACTS_PER_PAGE = 8  # a phone's screen
_KINDS = ("who", "whom", "what", "when", "where", "why", "how", "how-many", "quote", "yes-no")
_PAGE_HEAD_ROOM = 300


def fact_pages(table: FactTable, by: Grouping) -> list[str]:
    """All pages, each at most 2,000 characters, with the group's name over its facts."""
    facts = sorted(table.facts, key=lambda fact: _order(fact, by))
    chunks = [facts[i : i + FACTS_PER_PAGE] for i in range(0, len(facts), FACTS_PER_PAGE)] or [[]]
    return [_page(table.title, chunk, by, at, len(chunks)) for at, chunk in enumerate(chunks, 1)]


def _order(fact: Fact, by: Grouping) -> tuple[int, int]:
    return (fact.line, 0) if by == "line" else (_KINDS.index(fact.asks) if fact.asks in _KINDS else 99, fact.line)


def _page(title: str, facts: list[Fact], by: Grouping, at: int, of: int) -> str:
    parts = [f"What “{escaped(shortened(title, 120))}” says, page {at} of {of}"]
    room = (MAX_CONTENT - _PAGE_HEAD_ROOM) // max(1, len(facts))
    for name, group in groupby(facts, key=lambda fact: f"Line {fact.line}" if by == "line" else fact.asks):
        parts.append(f"**{escaped(name.capitalize())}**")
        parts += [_row(fact, by, room) for fact in group]
    return shortened("\n".join(parts), MAX_CONTENT)


def _row(fact: Fact, by: Grouping, room: int) -> str:
    where = "" if by == "line" else f" (line {fact.line})"
    question = escaped(shortened(fact.questions[0], room // 2))
    return f"- {question} {escaped(shortened(fact.answer, room // 3))}{where}"
