"""What a message may mean: passages and facts, each with the signals that speak for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from bot.answering.passages import Passage
from bot.answering.reader import Reading
from bot.story.table import Fact


@dataclass(frozen=True)
class Signals:
    """What speaks for a candidate. Similarities are about 0..1, log-odds are natural, shares are 0..1.

    rank         late interaction and cosine of the message with the passage
    lead         that rank less the best rank of another line
    reads        the reader's log-odds that the passage answers or corrects
    corrects     the reader's log-odds of "contradicts" against "answers"
    span         the logarithm of the span's probability among all spans of the passage, in tens
    share        the logarithm of the passage's share of what all spans weigh that the message was read with
    unknown      share of the message's content words that the story holds in no form
    type_misfit  1 where the answer cannot be of the kind asked for
    akin         1 where the fact gives the very kind of answer that is asked for
    question     best similarity of the message with one of the fact's questions
    gap_lead     that similarity less the best one of a known gap, beyond what is usual in the table
    same         the reader's log-odds that what answers the fact's closest question answers the message
    overlap      share of words in common (F1) between the fact's answer and the reader's span
    echo         share of the answer's content words that the message holds itself
    repeats      1 where it holds them all: what a reader says already is hardly what is asked for
    names        how many names of the story in the message neither the passage nor the fact's questions hold
    numbers      how many numbers in the message they do not hold
    follows      of a follow-up: 1 on the line that was quoted last, -1 on another; 0 where a message stands by itself
    """

    rank: float = 0.0
    lead: float = 0.0
    reads: float = 0.0
    corrects: float = 0.0
    span: float = 0.0
    share: float = 0.0
    unknown: float = 0.0
    type_misfit: float = 0.0
    akin: float = 0.0
    question: float = 0.0
    gap_lead: float = 0.0
    same: float = 0.0
    overlap: float = 0.0
    echo: float = 0.0
    repeats: float = 0.0
    names: float = 0.0
    numbers: float = 0.0
    follows: float = 0.0


SIGNAL_NAMES = tuple(field.name for field in fields(Signals))


@dataclass(frozen=True)
class Candidate:
    """A possible answer: its words, their passage, the fact they belong to, and the signals for it.

    `start` is where on the line a quote begins that may stand there twice; None where an editor quoted it.
    """

    fact: Fact
    passage: Passage
    answer: str
    quote: str
    signals: Signals
    reading: Reading
    start: int | None = None


def log_odds(probability: float) -> float:
    """Natural log-odds, bounded to ±7: past a thousand to one the reader knows no better."""
    bounded = min(max(probability, 1e-3), 1 - 1e-3)
    return math.log(bounded / (1 - bounded))


def word_overlap(left: list[str], right: list[str]) -> float:
    """F1 of two bags of words, as in the SQuAD evaluation (Rajpurkar et al., 2016)."""
    common = sum(min(left.count(word), right.count(word)) for word in set(left))
    return 2 * common / (len(left) + len(right)) if left and right else 0.0
