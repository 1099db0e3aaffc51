"""The matcher: a story encoded once, and the candidates for a message."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bot.answering.asks import asked, asks_for_gist, can_give, is_kind, may_serve
from bot.answering.candidates import Candidate, Signals, log_odds, word_overlap
from bot.answering.encoder import MODELS, Encoder, Encoding
from bot.answering.gate import Gates, load_gates
from bot.answering.index import Near, Ranking, StoryIndex
from bot.answering.passages import Passage
from bot.answering.reader import NOTHING, UNREAD, Reader, Reading
from bot.answering.spans import distinct
from bot.answering.text import STOP_WORDS, numbers, stems, words
from bot.answering.vocabulary import Vocabulary
from bot.story.library import Story
from bot.story.table import AnswerType, Fact, Gap

DRAFT_PASSAGES_READ = 3  # among so many closest lines the right one is in 97 of 100 held-out messages
NEAR_RANK = 0.08  # lines that rank further behind the closest one are not read; 95 of 100 right ones lie within .037
# With a table, the line that the nearest fact stands on. With a second one .783 instead of .777 held-out messages are
# answered right, but .933 instead of .950 wrong premises are not confirmed.
TABLE_PASSAGES_READ = 1
GIST_PASSAGES = 3  # what a story is about stands at its beginning, behind a headline or a caption
FACTS_READ = 5  # facts whose questions come closest; in a rich table the right one is among them in 94 of 100
# The closest one of each of these facts, and a second one of the closest: of 467 messages about the seed story three
# more are right, and none less refused. Read with four facts it is the same.
QUESTIONS_READ = 8
FOLLOWING_READ = 6  # a follow-up says less: the right fact lies further back
NEAR = 0.12  # facts that lie further behind the closest one are not read; of the right ones four in a hundred do
KIND_NEAR = 0.3
# A follow-up mostly asks about what was just quoted: facts on that line are taken to lie closer by so much, which is
# how much closer another wording of the same question lies than a question about something else.
SAME_LINE = 0.08
CLOSEST = 4  # facts to suggest from: three are shown, one may be the answer that was not meant
SAME_WORDS = 0.4  # F1: "injuring nine people" and "nine hurt", with a headline's words
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
    def load(cls, folder: Path = MODELS, cache: Path | None = None) -> Models:
        """Load all models. Raises ModelError."""
        return cls(Encoder(folder), Reader(folder), load_gates(folder), cache)


@dataclass(frozen=True)
class Match:
    """The candidates for a message, how it compares with the story, what that does not know, and what to suggest."""

    message: str
    candidates: tuple[Candidate, ...]
    ranking: Ranking
    unknown: float
    closest: tuple[Fact, ...]


def _lead(scores: Sequence[float], index: int, groups: Sequence[object]) -> float:
    """A score less the best score of another group."""
    others = [score for score, group in zip(scores, groups, strict=True) if group != groups[index]]
    return scores[index] - max(others, default=0.0)


@dataclass(frozen=True)
class _Look:
    """One look at a message: what it asks for, how it ranks, what was read, what the story does not know.

    `same` says of each of the nearest facts, in their order, how probably what answers one of its questions answers the
    message or puts it right.
    `names` are those of the story that it holds, `numbers` all that it holds; `line` is the one that the message
    follows up, 0 where it stands by itself.
    """

    message: str
    wanted: AnswerType | None
    ranking: Ranking
    readings: Mapping[int, Reading]
    same: Sequence[float]
    unknown: float
    names: frozenset[str]
    numbers: frozenset[str]
    line: int

    def shares(self, passages: Sequence[Passage]) -> dict[int, float]:
        """The logarithm of each passage's share of what all spans weigh that were read, at least that of nothing.

        A passage has its share together with those that would answer with the same words: a headline is no rival of
        the line that it sums up.
        """
        most = max((reading.mass for reading in self.readings.values()), default=0.0)
        masses = {i: math.exp(reading.mass - most) for i, reading in self.readings.items()}
        said = {i: words(passages[i].text[r.spans[0].start : r.spans[0].end]) for i, r in self.readings.items()}

        def together(i: int) -> float:
            return sum(mass for j, mass in masses.items() if j == i or word_overlap(said[i], said[j]) >= SAME_WORDS)

        least = math.exp(NOTHING)
        return {i: math.log(max(least, together(i) / sum(masses.values()))) for i in masses}


def _drafted(line: int, text: str) -> Fact:
    return Fact(f"line-{line}", "what", text, line, text, (text,))


def _gives(kind: AnswerType, fact: Fact) -> bool:
    return is_kind(kind, fact.asks) and can_give(kind, fact.answer)


def _overlap(fact: Fact, span: str) -> float:
    """Share of words in common between what a fact answers, or quotes, and what the reader marks."""

    def told(text: str) -> list[str]:
        return [word for word in words(text) if word not in STOP_WORDS] or words(text)

    # A quote is longer than its answer: what the reader marks in it is a hint, not the answer.
    return max(word_overlap(told(fact.answer), told(span)), 0.8 * word_overlap(told(fact.quote), told(span)))


def _follows(line: int, found: int) -> float:
    """The signal of a candidate on the line `found` for a message that follows up a line, 0 for none."""
    return 0.0 if not line else 1.0 if found == line else -1.0


def _shared(look: _Look, answer: str) -> dict[str, float]:
    """The signals of how much of an answer the message says itself."""
    told = stems([answer])
    share = len(told & stems([look.message])) / len(told) if told else 0.0
    return {"echo": share, "repeats": float(share == 1)}


def _questions(near: Sequence[Near]) -> list[tuple[int, Encoding]]:
    """The questions that a message is read with, each with the index of its fact.

    Of each fact the closest, then the closest of the others.
    """
    first = [(i, one.questions[0]) for i, one in enumerate(near)]
    others = [
        (score, i, question)
        for i, one in enumerate(near)
        for question, score in zip(one.questions[1:], one.scores[1:], strict=True)
    ]
    others.sort(key=lambda other: -other[0])
    return [*first, *((i, question) for _, i, question in others[: QUESTIONS_READ - len(first)])]


class Matcher:
    """Finds what a message may mean in one story: ranks, reads the closest, and gathers the signals."""

    def __init__(self, story: Story, models: Models) -> None:
        self._story, self._reader = story, models.reader
        english = models.encoder.tokenizer.get_vocab()
        self._index = StoryIndex(story, models.encoder, models.cache, english)
        self._passages = self._index.passages
        self._vocabulary = Vocabulary([p.text for p in self._passages], story.table, english)
        facts = () if story.drafted else story.table.facts
        rows: tuple[Fact | Gap, ...] = (*story.table.gaps, *facts)
        self._written = {tuple(words(question)): row for row in rows for question in row.questions}
        self._told = [frozenset(words(passage.text)) for passage in self._passages]
        self._asked = {fact.id: frozenset(word for q in fact.questions for word in words(q)) for fact in facts}

    def normalised(self, message: str) -> str:
        """The message with its spelling repaired and the readers' names for things replaced by the story's."""
        return self._vocabulary.normalised(message)

    def written(self, message: str) -> Fact | Gap | None:
        """The fact or gap whose table holds this very question, whatever its case and marks."""
        return self._written.get(tuple(words(message)))

    def gist(self) -> Fact | None:
        """What the story is about: the fact that an editor wrote for it, or the sentence that the rest is about too.

        That one stands at the beginning of a news story, most often in its first line.
        """
        for fact in () if self._story.drafted else self._story.table.facts:
            if any(asks_for_gist(question) for question in fact.questions):
                return fact
        first = self._passages[:GIST_PASSAGES]
        sentence = self._index.most_central(range(1, first[-1].line + 1)) if first else None
        if sentence is None:
            return None
        fact = self._fact_at(sentence.line, sentence.start)
        if not self._story.table.fact(fact.id):
            return None  # no row of that line, no answer
        return replace(fact, answer=sentence.text, quote=sentence.text, status="draft")

    def rank(self, message: str, before: str = "") -> Ranking:
        """How a normalised message compares with the story, behind a question that it leans on."""
        return self._index.rank(message, before)

    def match(self, message: str, ranking: Ranking, line: int = 0, given: Collection[str] = ()) -> Match:
        """Candidates for a normalised message, in no particular order.

        `line` is the one that the last answer was found on (0 where none was), `given` the ids of facts that are not
        asked for again.
        """
        wanted = asked(message)
        # "and why?" names little but its kind
        narrowed = bool(line) and wanted in _PLAIN_KINDS and bool(ranking.facts)
        near = self._near(
            [one for one in ranking.facts if one.fact.id not in given], wanted if narrowed else None, line
        )
        look = self._look(message, wanted, ranking, near, line)
        found = self._fact_candidates(look, near) if ranking.facts else self._read_candidates(look)
        return Match(message, tuple(found), ranking, look.unknown, self._closest(ranking))

    def _near(self, facts: Iterable[Near], kind: AnswerType | None, line: int) -> tuple[Near, ...]:
        """The facts that may be meant, closest first: of a kind where one is given and some lie close enough."""

        def closeness(near: Near) -> float:
            return near.score + SAME_LINE * (near.fact.line == line)

        near = sorted(facts, key=closeness, reverse=True)
        of_kind = [one for one in near if kind and _gives(kind, one.fact)]
        if of_kind and closeness(of_kind[0]) >= closeness(near[0]) - KIND_NEAR:
            near = of_kind
        most = FOLLOWING_READ if line else FACTS_READ
        return tuple(one for one in near[:most] if closeness(one) >= closeness(near[0]) - NEAR)

    def _to_read(self, ranking: Ranking, near: Sequence[Near], line: int) -> tuple[int, ...]:
        """The closest passage and the one that is followed up, or those that the nearest facts stand on."""
        if not ranking.facts:
            followed = (self._passage_of(ranking, line),) if line else ()
            closest = ranking.order[:DRAFT_PASSAGES_READ]
            least = ranking.best - NEAR_RANK
            return tuple(dict.fromkeys((*(i for i in closest if ranking.ranks[i] >= least), *followed)))
        found = dict.fromkeys(self._passage_of(ranking, one.fact.line, one.fact.quote) for one in near)
        return tuple(found)[:TABLE_PASSAGES_READ]

    def _passage_of(self, ranking: Ranking, line: int, quote: str = "") -> int:
        """The closest passage of a line: of a very long one, among those that hold a quote where any does."""
        on_line = [i for i in ranking.order if self._passages[i].line == line]
        return next((i for i in on_line if quote in self._passages[i].text), on_line[0])

    def _look(
        self, message: str, wanted: AnswerType | None, ranking: Ranking, near: Sequence[Near], line: int
    ) -> _Look:
        passages, questions = self._to_read(ranking, near, line), _questions(near)
        read, found = self._reader.read(
            ranking.message, [self._index.read_passages[i] for i in passages], [question for _, question in questions]
        )
        same = [0.0] * len(near)
        for (i, _), probability in zip(questions, found, strict=True):
            same[i] = max(same[i], probability)
        readings = dict(zip(passages, read, strict=True))
        unknown, names = self._vocabulary.unknown_share(message), self._vocabulary.names_in(message)
        return _Look(message, wanted, ranking, readings, same, unknown, names, frozenset(numbers(message)), line)

    def _passage_signals(self, look: _Look, i: int, fact: str = "") -> Signals:
        ranking, reading = look.ranking, look.readings.get(i, UNREAD)
        told = (self._told[i], self._asked.get(fact, frozenset()))
        return Signals(
            rank=ranking.ranks[i],
            lead=_lead(ranking.ranks, i, [p.line for p in self._passages]),
            reads=log_odds(reading.speaks),
            corrects=log_odds(reading.contradicts / max(reading.speaks, 1e-6)),
            unknown=look.unknown,
            names=float(len(look.names.difference(*told))),
            numbers=float(len(look.numbers.difference(*told))),
            follows=_follows(look.line, self._passages[i].line),
        )

    def _read_candidates(self, look: _Look) -> list[Candidate]:
        found, shares = [], look.shares(self._passages)
        for i, reading in look.readings.items():
            passage, signals = self._passages[i], self._passage_signals(look, i)
            for span in distinct(passage.text, reading.spans, SPANS_A_PASSAGE):
                answer = passage.text[span.start : span.end]
                misfit = float(not can_give(look.wanted, answer))
                fact = self._fact_at(passage.line, passage.start + span.start)
                read = {"span": span.score / 10, "share": shares[i] / 10}
                fitting = replace(signals, **read, type_misfit=misfit, **_shared(look, answer))
                found.append(Candidate(fact, passage, answer, answer, fitting, reading, passage.start + span.start))
        return found

    def _fact_candidates(self, look: _Look, near: Sequence[Near]) -> list[Candidate]:
        return [self._fact_candidate(look, one, same) for one, same in zip(near, look.same, strict=True)]

    def _fact_candidate(self, look: _Look, near: Near, same: float) -> Candidate:
        fact, i = near.fact, self._passage_of(look.ranking, near.fact.line, near.fact.quote)
        reading, passage = look.readings.get(i, UNREAD), self._passages[i]
        span = reading.spans[0]
        signals = replace(
            self._passage_signals(look, i, fact.id),
            span=span.score / 10,
            type_misfit=float(not may_serve(look.wanted, fact)),
            akin=float(is_kind(look.wanted, fact.asks)),
            question=near.score,
            gap_lead=near.score - look.ranking.gap_score - self._index.usual_lead,
            same=log_odds(same),
            overlap=_overlap(fact, passage.text[span.start : span.end]),
            **_shared(look, fact.answer),
        )
        return Candidate(fact, passage, fact.answer, fact.quote, signals, reading)

    def _fact_at(self, line: int, start: int) -> Fact:
        """The drafted fact of the sentence that a span starts in."""
        on_line = [s for s in self._index.sentences if s.line == line]
        sentence = next((s for s in reversed(on_line) if s.start <= start), on_line[0])
        facts = [fact for fact in self._story.table.facts if fact.line == line]
        same = [fact for fact in facts if fact.quote in sentence.text]
        return next(iter(same or facts), _drafted(line, sentence.text))

    def closest(self, message: str, before: str = "") -> tuple[Fact, ...]:
        """Facts whose questions (or lines, for a draft) come closest to a message behind another: what to suggest."""
        return self._closest(self.rank(message, before))

    def _closest(self, ranking: Ranking) -> tuple[Fact, ...]:
        if ranking.facts:
            return tuple(near.fact for near in ranking.facts[:CLOSEST])
        scores, sentences = ranking.sentences, self._index.sentences
        order = sorted(range(len(scores)), key=lambda j: (-float(scores[j]), j))[: 3 * CLOSEST]
        found = [self._fact_at(sentences[j].line, sentences[j].start) for j in order]
        return tuple({fact.id: fact for fact in found}.values())[:CLOSEST]
