"""The index: a story's passages, sentences, questions and gaps, encoded once and compared with a message."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from bot.answering.cache import encode_all
from bot.answering.encoder import MAX_TOKENS, Encoder, Encoding, Floats
from bot.answering.interaction import GroupIndex, TextIndex, TokenWeights
from bot.answering.passages import passages_of
from bot.answering.reader import ReadPassage
from bot.answering.text import behind
from bot.story.article import Sentence
from bot.story.library import Story
from bot.story.table import Fact, Gap

BEFORE_WEIGHT = 0.1  # what a follow-up says itself counts more than what it leans on; at 1 it gets the old answer again
USUAL_KINSHIP = 0.75  # cosine of two wordings of one question, the median of 33 tables: for a table with single ones
# Facts and gaps whose questions are compared word by word. Of the four closest facts of each of 160 messages about the
# seed story, four in 640 lie further back by their cosine, and none of the closest.
FACTS_COMPARED = 32
GAPS_COMPARED = 12
WORDINGS_READ = 2  # of a fact's questions: the closest may be read amiss; with a third no more are right


@dataclass(frozen=True)
class Near:
    """A fact, the questions of it that come closest to a message (encoded), and how close (about 0..1); best first."""

    fact: Fact
    questions: tuple[Encoding, ...]
    scores: tuple[float, ...]

    @property
    def score(self) -> float:
        """How close the closest question comes."""
        return self.scores[0]


@dataclass(frozen=True)
class Ranking:
    """A message compared with a story.

    `text` is the message behind what it leans on, `message` its encoding, `ranks` holds a score a passage, `order` the
    passages, best first, `sentences` a score a sentence, `facts` the facts by their closest question (none for a
    draft), `gap` the closest known gap with its similarity.
    """

    text: str
    message: Encoding
    ranks: tuple[float, ...]
    order: tuple[int, ...]
    facts: tuple[Near, ...]
    gap: Gap | None
    gap_score: float
    sentences: Floats

    @property
    def best(self) -> float:
        """The score of the closest passage; 0 of a story without any."""
        return max(self.ranks, default=0.0)


def usual_lead(facts: GroupIndex, gaps: GroupIndex, kinship: Floats) -> float:
    """By how much a table's questions lie closer to another one of their fact than to a known gap: the median cosine.

    The richer a table is in gaps, the closer one lies to any message; a lead is worth what it is beyond the usual.
    """
    near_gap = (facts.means @ gaps.means.T).max(axis=1) if len(gaps.means) and len(facts.means) else np.zeros(1)
    return float((np.median(kinship) if len(kinship) else USUAL_KINSHIP) - np.median(near_gap))


class StoryIndex:
    """Encodes a story, or takes its encodings from the cache, and ranks messages against it."""

    def __init__(self, story: Story, encoder: Encoder, cache: Path | None, english: Mapping[str, int]) -> None:
        self._encoder = encoder
        self.passages = passages_of(story.article)
        self.sentences = story.article.sentences
        # The questions of a draft are its own sentences, which are compared anyway.
        self._facts = () if story.drafted else story.table.facts
        self._gaps = story.table.gaps
        asked = [question for fact in self._facts for question in fact.questions]
        ranked = [*(s.text for s in self.sentences), *(question for gap in self._gaps for question in gap.questions)]
        encodings = iter(encode_all(encoder, [p.text for p in self.passages], asked, ranked, cache))
        passages = list(islice(encodings, len(self.passages)))
        questions = list(islice(encodings, len(asked)))
        sentences = list(islice(encodings, len(self.sentences)))
        self.read_passages = [
            ReadPassage(encoding, encoder.offsets(passage.text))
            for encoding, passage in zip(passages, self.passages, strict=True)
        ]
        self._passage_index, self._sentence_index = TextIndex(passages), TextIndex(sentences)
        self._fact_index = GroupIndex(questions, [len(fact.questions) for fact in self._facts])
        self._questions = [question.for_reading() for question in questions]
        self._gap_index = GroupIndex(list(encodings), [len(gap.questions) for gap in self._gaps])
        self.kinship = self._fact_index.kinship()
        self.usual_lead = usual_lead(self._fact_index, self._gap_index, self.kinship)
        self._weights = TokenWeights(sentences, {number: piece for piece, number in english.items()})
        self._inside = [
            [j for j, s in enumerate(self.sentences) if s.line == p.line and p.start <= s.start < p.start + len(p.text)]
            for p in self.passages
        ]

    def most_central(self, lines: Container[int]) -> Sentence | None:
        """The sentence on some lines that lies closest to the whole story: to the mean of its passages."""
        near = self._sentence_index.means @ self._passage_index.means.sum(axis=0)
        among = [j for j, sentence in enumerate(self.sentences) if sentence.line in lines]
        return self.sentences[max(among, key=lambda j: float(near[j]))] if among else None

    def rank(self, message: str, before: str = "") -> Ranking:
        """The ranking for a normalised message; `before` is the earlier question that it leans on, if it does."""
        alone = self._encoder.ids(message)
        joined = self._encoder.ids(behind(before, message)) if before else alone
        # What would be cut off is the follow-up itself.
        leans = bool(before) and len(joined) < MAX_TOKENS
        (encoding,) = self._encoder.encode_alike([joined if leans else alone])
        weights = self._weights(encoding)
        if leans:
            weights[: 2 - len(alone)] *= BEFORE_WEIGHT  # two tokens are markers
        sentences = self._sentence_index.scores(encoding, weights)
        ranks = self._passage_ranks(self._passage_index.scores(encoding, weights), sentences)
        gaps = self._gap_index.closest(encoding, weights, GAPS_COMPARED)
        return Ranking(
            text=behind(before, message) if leans else message,
            message=encoding,
            ranks=ranks,
            order=tuple(sorted(range(len(ranks)), key=lambda i: (-ranks[i], i))),
            sentences=sentences,
            facts=self._closest_facts(encoding, weights),
            gap=self._gaps[gaps[0].group] if gaps else None,
            gap_score=gaps[0].scores[0] if gaps else 0.0,
        )

    def _passage_ranks(self, whole: Floats, single: Floats) -> tuple[float, ...]:
        """A passage ranks by itself and by its best sentence: a short one is not lost in a long paragraph."""
        best = [
            max((float(single[j]) for j in inside), default=float(whole[i])) for i, inside in enumerate(self._inside)
        ]
        return tuple((float(whole[i]) + score) / 2 for i, score in enumerate(best))

    def _closest_facts(self, encoding: Encoding, weights: Floats) -> tuple[Near, ...]:
        found = [
            Near(self._facts[near.group], tuple(self._questions[text] for text in near.texts), near.scores)
            for near in self._fact_index.closest(encoding, weights, FACTS_COMPARED, WORDINGS_READ)
        ]
        return tuple(sorted(found, key=lambda near: (-near.score, near.fact.line, near.fact.id)))
