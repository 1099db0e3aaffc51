"""The index: a story's passages, sentences, questions and gaps, encoded once and compared with a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from bot.answering.cache import encode_all
from bot.answering.encoder import Encoder, Floats
from bot.answering.interaction import TextIndex, TokenWeights
from bot.answering.passages import passages_of
from bot.story.library import Story
from bot.story.table import Fact, Gap

BEFORE_WEIGHT = 0.4  # what a follow-up says itself counts more than what it leans on; at 1 it gets the old answer again


@dataclass(frozen=True)
class Near:
    """A fact, the question of it that comes closest to a message, and how close (about 0..1)."""

    fact: Fact
    question: str
    score: float


@dataclass(frozen=True)
class Ranking:
    """A message compared with a story.

    `ranks` holds a score a passage, `order` the passages' indices, best first, `sentences` a score a sentence, `facts`
    the facts by their closest question (none for a draft), `gap` the closest known gap with its similarity.
    """

    ranks: tuple[float, ...]
    order: tuple[int, ...]
    facts: tuple[Near, ...]
    gap: Gap | None
    gap_score: float
    sentences: Floats


class StoryIndex:
    """Encodes a story, or takes its encodings from the cache, and ranks messages against it."""

    def __init__(self, story: Story, encoder: Encoder, cache: Path | None, english: Mapping[str, int]) -> None:
        self._encoder = encoder
        self.passages = passages_of(story.article)
        self.sentences = story.article.sentences
        # The questions of a draft are its own sentences, which are compared anyway.
        self._asked = [] if story.drafted else [(fact, q) for fact in story.table.facts for q in fact.questions]
        self._gaps = [(gap, q) for gap in story.table.gaps for q in gap.questions]
        texts = [
            [p.text for p in self.passages], [s.text for s in self.sentences],
            [q for _, q in self._asked], [q for _, q in self._gaps],
        ]  # fmt: skip
        encodings = encode_all(encoder, [text for group in texts for text in group], cache)
        bounds = np.cumsum([0, *map(len, texts)])
        groups = [encodings[first:last] for first, last in pairwise(bounds)]
        self._passage_index, self._sentence_index, self._question_index, self._gap_index = map(TextIndex, groups)
        self._weights = TokenWeights(groups[1], {number: piece for piece, number in english.items()})
        self._inside = [
            [j for j, s in enumerate(self.sentences) if s.line == p.line and p.start <= s.start < p.start + len(p.text)]
            for p in self.passages
        ]

    def rank(self, message: str, before: str = "") -> Ranking:
        """The ranking for a normalised message; `before` is the earlier question that it leans on, if it does."""
        encoding = self._encoder.encode(f"{before} {message}".strip())
        weights = self._weights(encoding)
        if before:
            weights[: -len(self._encoder.encode(message).ids)] *= BEFORE_WEIGHT
        sentences = self._sentence_index.scores(encoding, weights)
        ranks = self._passage_ranks(self._passage_index.scores(encoding, weights), sentences)
        gap_scores = self._gap_index.scores(encoding, weights)
        at = int(gap_scores.argmax()) if len(gap_scores) else -1
        return Ranking(
            ranks=ranks,
            order=tuple(sorted(range(len(ranks)), key=lambda i: (-ranks[i], i))),
            sentences=sentences,
            facts=self._closest_facts(self._question_index.scores(encoding, weights)),
            gap=self._gaps[at][0] if at >= 0 else None,
            gap_score=float(gap_scores[at]) if at >= 0 else 0.0,
        )

    def _passage_ranks(self, whole: Floats, single: Floats) -> tuple[float, ...]:
        """A passage ranks by itself and by its best sentence: a short one is not lost in a long paragraph."""
        best = [
            max((float(single[j]) for j in inside), default=float(whole[i])) for i, inside in enumerate(self._inside)
        ]
        return tuple((float(whole[i]) + score) / 2 for i, score in enumerate(best))

    def _closest_facts(self, scores: Floats) -> tuple[Near, ...]:
        best: dict[str, Near] = {}
        for (fact, question), score in zip(self._asked, scores.tolist(), strict=True):
            if fact.id not in best or score > best[fact.id].score:
                best[fact.id] = Near(fact, question, score)
        return tuple(sorted(best.values(), key=lambda near: (-near.score, near.fact.line, near.fact.id)))
