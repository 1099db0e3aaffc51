"""The reader: does this passage answer the message, contradict it, or say nothing, and with which words?

A cross-encoder over (message, passage) with a class and a span, in the manner of BERT for SQuAD 2
(Devlin et al., 2019); training and figures are in training/README.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bot.answering.encoder import MODELS, Floats, load_session, load_tokenizer

MAX_PAIR_TOKENS = 176  # as in training
MAX_MESSAGE_WORDS = 48  # as in training
MAX_SPAN_TOKENS = 48  # longer than any answer that a reader wants; bounds the search for the best span
SPANS = 24  # the best few spans differ by a word at either end; the next other one is among so many


@dataclass(frozen=True)
class Span:
    """Characters `start` to `end` of a passage; `score` is the log-odds of this span over no span."""

    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Reading:
    """What the reader makes of a passage: three probabilities that add up to one, and its best spans, best first."""

    answers: float
    contradicts: float
    silent: float
    spans: tuple[Span, ...]

    @property
    def speaks(self) -> float:
        """Probability that the passage answers the message or puts it right."""
        return self.answers + self.contradicts


UNREAD = Reading(0.0, 0.0, 1.0, (Span(0, 0, -10.0),))


def _softmax(logits: Floats) -> Floats:
    exp = np.exp(logits - logits.max())
    probabilities: Floats = exp / exp.sum()
    return probabilities


class Reader:
    """Reads one pair at a time, so that a passage's reading does not depend on what is read beside it."""

    def __init__(self, folder: Path = MODELS, threads: int = 1) -> None:
        self._session = load_session(folder / "reader.int8.onnx", threads)
        self._tokenizer = load_tokenizer(folder)
        self._tokenizer.enable_truncation(MAX_PAIR_TOKENS, strategy="only_second")

    def read(self, message: str, passage: str) -> Reading:
        """The reading of a passage for a message; the span is never empty where the passage has a word."""
        encoded = self._tokenizer.encode(" ".join(message.split()[:MAX_MESSAGE_WORDS]), passage)
        inputs = {
            "input_ids": np.array([encoded.ids], dtype=np.int64),
            "attention_mask": np.array([encoded.attention_mask], dtype=np.int64),
            "token_type_ids": np.array([encoded.type_ids], dtype=np.int64),
        }
        verdict, start, end = self._session.run(["verdict", "start", "end"], inputs)
        answers, contradicts, silent = (float(p) for p in _softmax(verdict[0]))
        inside = [i for i, segment in enumerate(encoded.sequence_ids) if segment == 1]
        if not inside:
            return Reading(answers, contradicts, silent, (Span(0, 0, -20.0),))
        first, last = inside[0], inside[-1] + 1
        pairs = start[0, first:last, None] + end[0, None, first:last]
        allowed = np.triu(np.ones_like(pairs)) - np.triu(np.ones_like(pairs), MAX_SPAN_TOKENS)
        scores = np.where(allowed > 0, pairs, -np.inf).ravel() - start[0, 0] - end[0, 0]
        best = np.argsort(-scores, kind="stable")[:SPANS]
        spans = tuple(
            Span(encoded.offsets[first + begin][0], encoded.offsets[first + stop][1], float(scores[at]))
            for at in best
            for begin, stop in [divmod(int(at), pairs.shape[1])]
            if np.isfinite(scores[at])
        )
        return Reading(answers, contradicts, silent, spans)
