"""The matcher: a story encoded once, and the candidates for a message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bot.answering.asks import asked, asks_for_gist, can_give, is_kind, may_serve
from bot.answering.candidates import Candidate, Signals, log_odds, word_overlap
from bot.answering.encoder import MODELS, Encoder
from bot.answering.gate import Gates, load_gates
from bot.answering.index import Near, Ranking, StoryIndex
from bot.answering.reader import UNREAD, Reader, Reading
from bot.answering.spans import distinct
from bot.answering.text import STOP_WORDS, stems, words
from bot.answering.vocabulary import Vocabulary
from bot.story.library import Story
from bot.story.table import AnswerType, Fact, Gap

# Without a table the closest passage alone is read: with four, no figure over 33 held-out stories was better by more
# than .02, on six stories of another hand none was better, and a reply took three times as long.
DRAFT_PASSAGES_READ = 1
# With a table, the line of the closest fact is read besides; with four, no figure was better.
TABLE_PASSAGES_READ = 2
GIST_PASSAGES_READ = 4  # what a story is about stands at its beginning
FACTS_READ = 6  # facts whose questions come closest; each costs about 4 ms
CLOSEST = 4  # facts to suggest from: three are shown, one may be the answer that was not meant
GIST = "What is the story about?"
SPANS_A_PASSAGE = 2  # a passage often holds two numbers, names or dates: the kind of answer asked for tells them apart

_PLAIN_KINDS = ("who", "whom", "when", "where", "why", "how-many")


@dataclass(frozen=True)
class Models:
    """Everything that is loaded once and serves every story."""

    encoder: Encoder
    reader: Reader
    gates: Gates
    cache: Path | None = None

    @classmethod
    def load(cls, folder: Path = MODELS, cache: Path | None = None, threads: int = 1) -> Models:
        """Load all models. Raises ModelError."""
        return cls(Encoder(folder, threads), Reader(folder, threads), load_gates(folder), cache)


@dataclass(frozen=True)
class Match:
    """The candidates for a message, the known gap that comes closest with its similarity, and what to suggest.

    `narrowed` where the message leans on another and only facts of the kind that it asks for were taken.
    """

    message: str
    candidates: tuple[Candidate, ...]
    gap: Gap | None
    gap_score: float
    best_rank: float
    unknown: float
    closest: tuple[Fact, ...]
    narrowed: bool


def _lead(scores: Sequence[float], index: int, groups: Sequence[object]) -> float:
    """A score less the best score of another group."""
    others = [score for score, group in zip(scores, groups, strict=True) if group != groups[index]]
    return scores[index] - max(others, default=0.0)


@dataclass(frozen=True)
class _Look:
    """One look at a message: what it asks for, how it ranks, what was read, what the story does not know.

    `whole` is the message behind the question that it leans on, as the reader takes it.
    """

    message: str
    whole: str
    wanted: AnswerType | None
    ranking: Ranking
    readings: Mapping[int, Reading]
    unknown: float

    @property
    def narrowed(self) -> bool:
        """Whether only facts of one kind can be meant: "and why?" names nothing but its kind."""
        return self.whole != self.message and self.wanted in _PLAIN_KINDS and bool(self.ranking.facts)


def _overlap(fact: Fact, span: str) -> float:
    """Share of words in common between what a fact answers, or quotes, and what the reader marks."""

    def told(text: str) -> list[str]:
        return [word for word in words(text) if word not in STOP_WORDS] or words(text)

    # A quote is longer than its answer: what the reader marks in it is a hint, not the answer.
    return max(word_overlap(told(fact.answer), told(span)), 0.8 * word_overlap(told(fact.quote), told(span)))


def _echo(message: str, answer: str) -> float:
    told = stems([answer])
    return len(told & stems([message])) / len(told) if told else 0.0


class Matcher:
    """Finds what a message may mean in one story: ranks, reads the closest, and gathers the signals."""

    def __init__(self, story: Story, models: Models) -> None:
        self._story, self._reader = story, models.reader
        english = models.encoder.tokenizer.get_vocab()
        self._index = StoryIndex(story, models.encoder, models.cache, english)
        self._passages = self._index.passages
        self._vocabulary = Vocabulary([p.text for p in self._passages], story.table, english)
        rows: tuple[Fact | Gap, ...] = (*story.table.gaps, *(() if story.drafted else story.table.facts))
        self._written = {tuple(words(question)): row for row in rows for question in row.questions}

    def normalised(self, message: str) -> str:
        """The message with its spelling repaired and the readers' names for things replaced by the story's."""
        return self._vocabulary.normalised(message)

    def written(self, message: str) -> Fact | Gap | None:
        """The fact or gap whose table holds this very question, whatever its case and marks."""
        return self._written.get(tuple(words(message)))

    def gist(self) -> Candidate | None:
        """What the story is about: the fact that an editor wrote for it, or what the reader finds at the beginning."""
        for fact in () if self._story.drafted else self._story.table.facts:
            if any(asks_for_gist(question) for question in fact.questions):
                passage = next(p for p in self._passages if p.line == fact.line)
                return Candidate(fact, passage, fact.answer, fact.quote, Signals(), UNREAD)
        look = self._look(GIST, "", self._index.rank(GIST), range(min(GIST_PASSAGES_READ, len(self._passages))))
        found = self._read_candidates(look)
        return max(found, key=lambda c: (c.signals.reads, c.signals.span), default=None)

    def match(self, message: str, before: str = "") -> Match:
        """Candidates for a normalised message, in no particular order; `before` is a question that it leans on."""
        ranking = self._index.rank(message, before)
        look = self._look(message, before, ranking, self._to_read(ranking))
        found = self._fact_candidates(look) if ranking.facts else self._read_candidates(look)
        best_rank = ranking.ranks[ranking.order[0]] if ranking.order else 0.0
        closest = self._closest(ranking)
        return Match(
            message, tuple(found), ranking.gap, ranking.gap_score, best_rank, look.unknown, closest, look.narrowed
        )

    def _to_read(self, ranking: Ranking) -> tuple[int, ...]:
        """The closest passages, and the closest one that a near fact stands on."""
        count = TABLE_PASSAGES_READ if ranking.facts else DRAFT_PASSAGES_READ
        chosen, rest = ranking.order[:count], ranking.order[count:]
        lines = {near.fact.line for near in ranking.facts[:FACTS_READ]}
        return chosen + tuple(i for i in rest if self._passages[i].line in lines)[:1]

    def _look(self, message: str, before: str, ranking: Ranking, passages: Iterable[int]) -> _Look:
        whole = f"{before} {message}".strip()
        readings = {i: self._reader.read(whole, self._passages[i].text) for i in passages}
        return _Look(message, whole, asked(message), ranking, readings, self._vocabulary.unknown_share(message))

    def _passage_signals(self, look: _Look, i: int) -> Signals:
        ranking, reading = look.ranking, look.readings.get(i, UNREAD)
        return Signals(
            rank=ranking.ranks[i],
            lead=_lead(ranking.ranks, i, [p.line for p in self._passages]),
            reads=log_odds(reading.speaks),
            corrects=log_odds(reading.contradicts / max(reading.speaks, 1e-6)),
            unknown=look.unknown,
        )

    def _read_candidates(self, look: _Look) -> list[Candidate]:
        found = []
        for i, reading in look.readings.items():
            passage, signals = self._passages[i], self._passage_signals(look, i)
            for span in distinct(passage.text, reading.spans, SPANS_A_PASSAGE):
                answer = passage.text[span.start : span.end]
                misfit = float(not can_give(look.wanted, answer))
                fact = self._fact_at(passage.line, passage.start + span.start)
                fitting = replace(signals, span=span.score / 10, type_misfit=misfit, echo=_echo(look.message, answer))
                found.append(Candidate(fact, passage, answer, answer, fitting, reading))
        return found

    def _fact_candidates(self, look: _Look) -> list[Candidate]:
        of_line = {self._passages[i].line: i for i in reversed(look.ranking.order)}
        near = look.ranking.facts
        if look.narrowed:
            near = tuple(one for one in near if is_kind(look.wanted, one.fact.asks))
        return [self._fact_candidate(look, one, of_line[one.fact.line]) for one in near[:FACTS_READ]]

    def _fact_candidate(self, look: _Look, near: Near, i: int) -> Candidate:
        fact, reading, passage = near.fact, look.readings.get(i, UNREAD), self._passages[i]
        span = reading.spans[0]
        signals = replace(
            self._passage_signals(look, i),
            span=span.score / 10,
            type_misfit=float(not may_serve(look.wanted, fact)),
            akin=float(is_kind(look.wanted, fact.asks)),
            echo=_echo(look.message, fact.answer),
            question=near.score,
            gap_lead=near.score - look.ranking.gap_score,
            fact_reads=log_odds(self._reader.read(look.whole, f"{near.question} {fact.answer}").speaks),
            overlap=_overlap(fact, passage.text[span.start : span.end]),
        )
        return Candidate(fact, passage, fact.answer, fact.quote, signals, reading)

    def _fact_at(self, line: int, start: int) -> Fact:
        """The drafted fact of the sentence that a span starts in."""
        on_line = [s for s in self._index.sentences if s.line == line]
        sentence = next((s for s in reversed(on_line) if s.start <= start), on_line[0])
        facts = [fact for fact in self._story.table.facts if fact.line == line]
        same = [fact for fact in facts if fact.quote in sentence.text]
        drafted = Fact(f"line-{line}", "what", sentence.text, line, sentence.text, (sentence.text,))
        return next(iter(same or facts), drafted)

    def closest(self, message: str) -> tuple[Fact, ...]:
        """Facts whose questions (or lines, for a draft) come closest to a message: what to suggest."""
        return self._closest(self._index.rank(message))

    def _closest(self, ranking: Ranking) -> tuple[Fact, ...]:
        if ranking.facts:
            return tuple(near.fact for near in ranking.facts[:CLOSEST])
        scores, sentences = ranking.sentences, self._index.sentences
        order = sorted(range(len(scores)), key=lambda j: (-float(scores[j]), j))[: 3 * CLOSEST]
        found = [self._fact_at(sentences[j].line, sentences[j].start) for j in order]
        return tuple({fact.id: fact for fact in found}.values())[:CLOSEST]
