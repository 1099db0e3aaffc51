"""The fact table: what an editor says that the article says, each row with the words that prove it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

AnswerType = Literal["who", "whom", "when", "where", "what", "why", "how", "how-many", "quote", "yes-no"]
Status = Literal["reviewed", "draft"]
ANSWER_TYPES: tuple[str, ...] = get_args(AnswerType)
STATUSES: tuple[str, ...] = get_args(Status)


@dataclass(frozen=True)
class Fact:
    """One thing that the article says: a short answer and the words on `line` that prove it."""

    id: str
    asks: AnswerType
    answer: str
    line: int
    quote: str
    questions: tuple[str, ...]
    status: Status = "draft"


@dataclass(frozen=True)
class Gap:
    """A question that readers ask and the story does not answer, and the sentence to say so."""

    id: str
    questions: tuple[str, ...]
    says: str
    line: int | None = None


@dataclass(frozen=True)
class FactTable:
    """An immutable fact table. `names` maps a name of the story to other words readers use for it."""

    title: str
    article: str
    sha256: str
    facts: tuple[Fact, ...]
    gaps: tuple[Gap, ...] = ()
    names: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    date: str = ""
    source: str = ""
    reviewed: str = ""

    @property
    def questions(self) -> tuple[str, ...]:
        """The first question of every fact, in the table's order."""
        return tuple(fact.questions[0] for fact in self.facts)

    def fact(self, fact_id: str) -> Fact | None:
        """The fact of that id, or None where the table has none."""
        return next((fact for fact in self.facts if fact.id == fact_id), None)


def read_document(path: Path) -> dict[str, Any]:
    """The raw TOML of a table; raises tomllib.TOMLDecodeError, UnicodeDecodeError or OSError."""
    return tomllib.loads(path.read_text("utf-8"))


def table_of(document: Mapping[str, Any]) -> FactTable:
    """The table of a raw document that has passed `lint`."""
    story = document["story"]
    return FactTable(
        title=story["title"],
        article=story["article"],
        sha256=story["sha256"],
        facts=tuple(
            Fact(**{**raw, "questions": tuple(raw["questions"])})  # the keys are Fact's own: linted
            for raw in document.get("fact", [])
        ),
        gaps=tuple(Gap(**{**raw, "questions": tuple(raw["questions"])}) for raw in document.get("gap", [])),
        names=MappingProxyType({name: tuple(others) for name, others in document.get("names", {}).items()}),
        date=story.get("date", ""),
        source=story.get("source", ""),
        reviewed=story.get("reviewed", ""),
    )
