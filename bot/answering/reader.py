"""The reader: does this passage answer the message, contradict it, or say nothing, and with which words?

The upper three layers of the model over the states of both, with a class and a span in the manner of BERT for SQuAD 2
(Devlin et al., 2019); training and figures are in training/README.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bot.answering.encoder import MODELS, Encoding, Floats
from bot.answering.session import load_session

MAX_SPAN_TOKENS = 48  # longer than any answer that a reader wants; bounds the search for the best span
NOTHING = -20.0  # the mass of a passage without words
SPANS = 24  # the best few spans differ by a word at either end; the next other one is among so many


@dataclass(frozen=True)
class ReadPassage:
    """A passage, encoded, and where its tokens stand in its text."""

    encoding: Encoding
    offsets: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Span:
    """Characters `start` to `end` of a passage; `score` is the logarithm of its probability among all spans."""

    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Reading:
    """What the reader makes of a passage: three probabilities that add up to one, and its best spans, best first.

    `mass` is the logarithm of what all its spans weigh together: worth the same in every passage that a message is read
    with (shared normalisation: Clark and Gardner, ACL 2018).
    """

    answers: float
    contradicts: float
    silent: float
    spans: tuple[Span, ...]
    mass: float = NOTHING

    @property
    def speaks(self) -> float:
        """Probability that the passage answers the message or puts it right."""
        return self.answers + self.contradicts


UNREAD = Reading(0.0, 0.0, 1.0, (Span(0, 0, -10.0),))


def _softmax(logits: Floats) -> Floats:
    exp = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Floats = exp / exp.sum(axis=-1, keepdims=True)
    return probabilities


class Reader:
    """The upper half of the model, over a message and what it is read with."""

    def __init__(self, folder: Path = MODELS) -> None:
        self._session = load_session(folder, "reader")

    def read(
        self, message: Encoding, passages: Sequence[ReadPassage], questions: Sequence[Encoding] = ()
    ) -> tuple[list[Reading], list[float]]:
        """The readings of passages for a message, and of a table's questions how probably each asks the same, 0..1.

        That is: what answers the question answers the message, or puts it right. The best span of a passage is never
        empty where the passage has a word.
        """
        if not passages and not questions:
            return [], []
        asked, read = [q.read_states() for q in questions], [p.encoding.read_states() for p in passages]
        states = message.read_states()
        inputs = {
            "message": states,
            "questions": np.concatenate([states[:0], *asked]),
            "passages": np.concatenate([states[:0], *read]),
            "question_sizes": np.array([len(one) for one in asked], np.int64),
            "passage_sizes": np.array([len(one) for one in read], np.int64),
        }
        same, verdicts, starts, ends = self._session.run(["same", "verdict", "start", "end"], inputs)
        readings = []
        for passage, verdict, start, end in zip(passages, _softmax(verdicts).tolist(), starts, ends, strict=True):
            answers, contradicts, silent = verdict
            tokens = len(passage.encoding.states)
            spans, mass = _spans(start[:tokens], end[:tokens], passage.offsets)
            readings.append(Reading(answers, contradicts, silent, spans, mass))
        return readings, [answers + contradicts for answers, contradicts, _ in _softmax(same).tolist()]


def _log_sum(logits: Floats) -> float:
    return float(logits.max() + np.log(np.exp(logits - logits.max()).sum()))


def _spans(start: Floats, end: Floats, offsets: tuple[tuple[int, int], ...]) -> tuple[tuple[Span, ...], float]:
    """The best spans of a passage's words, best first, and the mass of all, from logits of all its tokens."""
    if len(offsets) <= 2:
        return (Span(0, 0, NOTHING),), NOTHING
    starts, ends = start[1:-1], end[1:-1]  # without the two marker tokens
    mass = _log_sum(starts) + _log_sum(ends)
    pairs = starts[:, None] + ends[None, :] - mass
    allowed = np.triu(np.ones_like(pairs)) - np.triu(np.ones_like(pairs), MAX_SPAN_TOKENS)
    scores = np.where(allowed > 0, pairs, -np.inf).ravel()
    best = np.argsort(-scores, kind="stable")[:SPANS]
    spans = tuple(
        Span(offsets[1 + first][0], offsets[1 + last][1], float(scores[at]))
        for at in best
        for first, last in [divmod(int(at), len(ends))]
        if np.isfinite(scores[at])
    )
    return spans, mass
