"""The replies: one closed union, and the parts they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SmalltalkIntent = Literal["greeting", "thanks", "help", "identity", "farewell", "empty"]


@dataclass(frozen=True)
class Source:
    """Where an answer stands: a story's line (from 1), the sentence verbatim, and the answer's words in it.

    `at` is where in the text those words begin; -1 where none are marked.
    """

    story: str
    line: int
    text: str
    marked: str = ""
    at: int = -1


@dataclass(frozen=True)
class Suggestion:
    """A question that the story answers, the id of its fact, and the fact's line."""

    question: str
    fact: str
    line: int


@dataclass(frozen=True)
class Answer:
    """What the story says. `corrects` where the message assumed what the line contradicts; `score` is 0-100.

    `unanswered` says of each further question in the message that has no answer that it has none.
    """

    answer: str
    sources: tuple[Source, ...]
    fact: str
    score: float
    corrects: bool = False
    drafted: bool = False
    suggestions: tuple[Suggestion, ...] = ()
    unanswered: tuple[str, ...] = ()


@dataclass(frozen=True)
class DidYouMean:
    """Two or three questions that may be the one meant; no answer is shown."""

    suggestions: tuple[Suggestion, ...]
    score: float


@dataclass(frozen=True)
class NotInStory:
    """The story does not say; `says` is the sentence that says so, `line` the closest line of a known gap."""

    says: str
    suggestions: tuple[Suggestion, ...] = ()
    score: float = 0.0
    gap: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class OffTopic:
    """The message is about something else than the story."""

    suggestions: tuple[Suggestion, ...] = ()


@dataclass(frozen=True)
class Smalltalk:
    """A greeting, thanks, a call for help: nothing to look up."""

    intent: SmalltalkIntent
    title: str
    suggestions: tuple[Suggestion, ...] = ()


Reply = Answer | DidYouMean | NotInStory | OffTopic | Smalltalk
