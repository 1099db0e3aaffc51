"""The pages of /facts: what the story says, grouped by topic, by line or by the kind of question.

A topic is a name of the table. A fact belongs to the name in its question or answer that the fewest facts hold: what
Kim Jong-un ordered is about him, not about North Korea, of which the whole story is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from bot.story.draft import shortened
from bot.story.table import Fact, FactTable
from bot.surfaces.discord.render import MAX_CONTENT, escaped

Grouping = Literal["topic", "line", "kind"]
Key = tuple[int, str]  # of a group: its place among the groups, and its name
FACTS_PER_PAGE = 8  # a phone's screen
_KINDS = ("who", "whom", "what", "when", "where", "why", "how", "how-many", "quote", "yes-no")
_MAX_NAME = 60  # characters of a group's name
_ROW_MARKS = 20  # characters of a row beside question and answer: dash, blanks, line number
REST = "Everything else"


@dataclass(frozen=True)
class Page:
    """A page of facts: its text, at most 2,000 characters, its number from 1, and how many there are."""

    text: str
    number: int
    of: int


def fact_page(table: FactTable, by: Grouping, number: int) -> Page:
    """A page of facts under the names of their groups; the last or first one where there are fewer."""
    key = _keys(table, by)
    facts = sorted(table.facts, key=lambda fact: (*key(fact), fact.line))
    of = max(1, -(-len(facts) // FACTS_PER_PAGE))
    at = max(1, min(number, of))
    shown = facts[(at - 1) * FACTS_PER_PAGE : at * FACTS_PER_PAGE]
    return Page(_page(table.title, shown, key, by, at, of), at, of)


def topics(table: FactTable) -> dict[str, str]:
    """The topic of every fact by its id; REST for what holds no name of the table."""
    patterns = {name: _any_of((name, *others)) for name, others in table.names.items()}
    held = {
        fact.id: [name for name, pattern in patterns.items() if pattern.search(f"{fact.questions[0]} {fact.answer}")]
        for fact in table.facts
    }
    counts = Counter(name for names in held.values() for name in names)
    return {fact: min(names, key=lambda name: counts[name], default=REST) for fact, names in held.items()}


def _any_of(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)")


def _keys(table: FactTable, by: Grouping) -> Callable[[Fact], Key]:
    """The group of a fact: lines as they come, kinds in a fixed order, topics where the story first speaks of them."""
    if by == "line" or (by == "topic" and not table.names):
        return lambda fact: (fact.line, f"Line {fact.line}")
    if by == "kind":
        return lambda fact: (_KINDS.index(fact.asks) if fact.asks in _KINDS else len(_KINDS), fact.asks.capitalize())
    topic = topics(table)
    first: dict[str, int] = {}
    for fact in sorted(table.facts, key=lambda fact: fact.line):
        first.setdefault(topic[fact.id], len(first))
    first[REST] = len(first)
    return lambda fact: (first[topic[fact.id]], topic[fact.id])


def _page(title: str, facts: list[Fact], key: Callable[[Fact], Key], by: Grouping, at: int, of: int) -> str:
    parts = [f"What “{escaped(shortened(title, 120))}” says, page {at} of {of}"]
    groups = [(f"**{escaped(shortened(name, _MAX_NAME))}**", list(group)) for (_, name), group in groupby(facts, key)]
    taken = sum(len(head) + 1 for head in (*parts, *(head for head, _ in groups)))
    room = (MAX_CONTENT - taken) // max(1, len(facts)) - _ROW_MARKS
    for head, group in groups:
        parts += [head, *(_row(fact, by, room) for fact in group)]
    return shortened("\n".join(parts), MAX_CONTENT)


def _row(fact: Fact, by: Grouping, room: int) -> str:
    where = "" if by == "line" else f" (line {fact.line})"
    question = escaped(shortened(fact.questions[0], room // 2))
    return f"- {question} {escaped(shortened(fact.answer, room // 2))}{where}"
