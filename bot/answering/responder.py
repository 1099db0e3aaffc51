"""The responder: from a message to a reply, for one story."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rapidfuzz import fuzz, utils

from bot.answering.asks import asks_for_gist
from bot.answering.candidates import Candidate, word_overlap
from bot.answering.conversation import (
    START,
    Aside,
    Turn,
    aside,
    asks_who_said,
    follows_up,
    last_words,
    leans_on_before,
    named,
    names_another,
    next_turn,
    who_said,
)
from bot.answering.gate import Gate
from bot.answering.index import Ranking
from bot.answering.matcher import Match, Matcher, Models
from bot.answering.reply import Answer, DidYouMean, NotInStory, OffTopic, Reply, Smalltalk, Source, Suggestion
from bot.answering.smalltalk import smalltalk
from bot.answering.text import clean, content_words, holds_words, parts, stems, words
from bot.story.library import Story
from bot.story.table import Fact, Gap

SUGGESTIONS = 3  # as many as fit beside each other on a phone
SUGGESTED = 45.0  # of 100; below, a question shares a word or two with what was typed by chance
GIST_SCORE = 75.0  # what a story is about is never wholly wrong, and never the only way to put it
MAX_NAME_WORDS = 6  # with a title; a longer answer is not what a pronoun stands for
GENERAL_REFUSAL = "The story doesn't say."
ORDINALS = ("first", "second", "third")  # a compound message is cut into three questions at most
# A message half of whose words are unknown to the story, which is less close than this to every line, for which the
# reader finds nothing in the lines that it reads (log-odds), and which no known gap is named for, is about something
# else. Of 2,221 answerable messages about held-out articles eight are taken for that, of 99 off-topic ones 75; most of
# the others are refused (training/calibrate.py).
OFF_TOPIC_UNKNOWN = 0.5
OFF_TOPIC_RANK = 0.32
OFF_TOPIC_READS = -2.5
# A gap of the table is named in a refusal when its question comes this close. One message in a hundred about something
# else comes within .54 of some gap of a rich table (training/constants.py), half of those that a story does not answer
# within .67; at .65 "weather seoul tomorrow" would still be told how large the Kursk region is.
GAP_NAMED = 0.66
# Where a named gap lies closer than the fact, by so much more than is usual in the table, no question is offered: the
# story does not say. Of the messages about held-out articles that would get an offer these are 68 of 111 that their
# article does not answer, and 20 of 78 that it does.
GAP_CLOSER = -0.13
SAID_AGAIN = 0.67  # F1 of the words: "on April 28" says "April 28" again, "Kim ordered it" does not say "Kim"


@dataclass(frozen=True)
class Step:
    """How one question of a message was decided: for --explain."""

    question: str
    match: Match
    probabilities: tuple[tuple[Candidate, float], ...]
    rule: str
    gate: Gate

    @property
    def understood(self) -> str:
        """The question as it was compared with the story."""
        return self.match.ranking.text


@dataclass(frozen=True)
class Exchange:
    """A reply, the turn to remember, and the steps that led to the reply, or the rule that needed none."""

    message: str
    reply: Reply
    turn: Turn
    steps: tuple[Step, ...] = ()
    rule: str = ""


@dataclass(frozen=True)
class Context:
    """What a question leans on: an earlier question, the line (from 1; 0 for none) of the last answer, answers given.

    `stranger` where it only puts another name in the place of one.
    """

    question: str
    line: int
    given: tuple[Answer, ...]
    stranger: bool = False


ALONE = Context("", 0, ())


class Responder:
    """Answers messages about one story, with a matcher for it; one message, turn and table always give one reply."""

    def __init__(self, story: Story, models: Models) -> None:
        self.story = story
        self.matcher = Matcher(story, models)
        self._suggested = {question: utils.default_process(question) for question in story.table.questions}
        self._gate = models.gates.drafted if story.drafted else models.gates.reviewed

    def respond(self, message: str, previous: Turn | None = None) -> Exchange:
        """The reply to a message of any content and length; `previous` is the turn that it may follow up.

        A turn about another story is none: its lines are not this one's.
        """
        exchange = self._respond(message, self._here(previous))
        told = exchange.turn.told if isinstance(exchange.reply, Smalltalk) else exchange.reply
        return replace(exchange, turn=replace(exchange.turn, told=told, story=self.story.name))

    def _here(self, previous: Turn | None) -> Turn | None:
        return previous if previous and previous.story in ("", self.story.name) else None

    def _respond(self, message: str, previous: Turn | None) -> Exchange:
        text = clean(message)
        remark = aside(text)
        if remark and previous and previous.told:
            reply = self._remark(remark, previous.told, previous.answer)
            return Exchange(message, reply, previous, rule="a remark on the last reply")
        written = self.matcher.written(text)
        if written:
            return self._exchange_of(message, text, written, previous)
        intent = "empty" if remark else smalltalk(text)
        gist = self.matcher.gist() if not intent and asks_for_gist(text) else None
        if gist:
            reply = self._answer_of(gist, gist.answer, gist.quote, GIST_SCORE)
            return Exchange(message, reply, next_turn(START, text, False, reply), rule="what the story is about")
        if intent or not (content_words(text) or (previous and text)):
            chat = Smalltalk(intent or "empty", self.story.title, self._openers())
            return Exchange(message, chat, previous or START, rule="smalltalk: nothing is asked of the story")
        return self._of_parts(message, text, previous)

    def _of_parts(self, message: str, text: str, previous: Turn | None) -> Exchange:
        """The reply to each question of a message in turn, as one reply."""
        turn = previous or START
        decided: list[tuple[Reply, Step]] = []
        for part in parts(text):
            reply, step, turn = self._next(part, turn)
            decided.append((reply, step))
        replies = [reply for reply, _ in decided]
        missing = tuple(
            _unanswered(reply, which)
            for reply, which in zip(replies, ORDINALS, strict=False)
            if not isinstance(reply, Answer)
        )
        if len(missing) == len(replies) > 1:
            context = self._context(parts(text)[0], previous)
            decided.append(self._decide(text, context))
            replies = [decided[-1][0]]
            turn = next_turn(previous or START, text, context != ALONE, replies[0])
        reply = _together(replies)
        if isinstance(reply, Answer) and len(replies) > 1:
            reply = replace(reply, unanswered=missing)
        if isinstance(reply, Answer):
            turn = replace(turn, answer=reply)
        return Exchange(message, reply, turn, tuple(step for _, step in decided))

    def _next(self, part: str, turn: Turn) -> tuple[Reply, Step, Turn]:
        """The reply to one question behind others, and what the next one is read against."""
        context, last = self._context(part, turn), _last_answer(turn)
        if context == ALONE:
            reply, step = self._decide(part)
        elif last and asks_who_said(part):
            # "That" is compared as the sentence that it stands for; the reader's own words are those of the follow-up.
            said = self.matcher.normalised(who_said(part, last.sources[0].text))
            reply, step = self._decide(part, context, self.matcher.rank(said))
        else:
            reply, step = self._following(self._with_name(part, last), context)
        return reply, step, next_turn(turn, part, context != ALONE, reply)

    def _context(self, part: str, turn: Turn | None) -> Context:
        """What a question leans on; ALONE where it stands by itself."""
        if not (turn and turn.question and leans_on_before(part)):
            return ALONE
        last = _last_answer(turn)
        line = last.sources[0].line if last else 0
        return Context(last_words(turn.question), line, turn.given, stranger=names_another(part))

    def _following(self, part: str, context: Context) -> tuple[Reply, Step]:
        """The reply to a follow-up: something new, or else what was answered earlier than just now, asked for again."""
        reply, step = self._decide(part, context)
        if isinstance(reply, NotInStory) and len(context.given) > 1 and content_words(part):
            again, decided = self._decide(part, replace(context, given=context.given[-1:]), step.match.ranking)
            if isinstance(again, Answer):
                return again, decided
        return reply, step

    def _with_name(self, part: str, answer: Answer | None) -> str:
        """A follow-up with the person that the last answer named."""
        fact = self.story.table.fact(answer.fact) if answer else None
        if not answer or not fact or fact.asks not in ("who", "whom") or len(answer.answer.split()) > MAX_NAME_WORDS:
            return part
        return named(part, answer.answer)

    def _exchange_of(self, message: str, text: str, row: Fact | Gap, previous: Turn | None) -> Exchange:
        """An editor who wrote a question into the table decided what it gets."""
        if isinstance(row, Fact):
            answer = self._answer_of(row, row.answer, row.quote, 100.0)
            turn = next_turn(START, text, False, answer)
            return Exchange(message, answer, turn, rule=f"fact {row.id} holds this very question")
        suggestions = tuple(map(_suggestion, self.matcher.closest(text)[:2]))
        reply = NotInStory(row.says, suggestions, 0.0, row.id, row.line)
        turn = next_turn(previous or START, text, False, reply)
        return Exchange(message, reply, turn, rule=f"gap {row.id} holds this very question")

    def reply_for(self, fact_id: str) -> Answer | None:
        """The plain answer of a fact, or None where the table has no such fact."""
        fact = self.story.table.fact(fact_id)
        return self._answer_of(fact, fact.answer, fact.quote, 100.0) if fact else None

    def alternatives(self, message: str, without: str, previous: Turn | None = None) -> Exchange:
        """The next candidates for a message whose answer, the fact `without`, was not what was asked."""
        text, here = clean(message), self._here(previous)
        before = last_words(here.question) if here and follows_up(text) else ""
        closest = self.matcher.closest(self.matcher.normalised(text), self.matcher.normalised(before))
        facts = [fact for fact in closest if fact.id != without]
        others = tuple(map(_suggestion, facts[:SUGGESTIONS]))
        reply = DidYouMean(others, 0.0) if len(others) > 1 else NotInStory(GENERAL_REFUSAL, others)
        return Exchange(message, reply, START, rule="other candidates")

    def suggest(self, typed: str, limit: int = 25) -> list[str]:
        """Questions of the table for what was typed so far, best first, each at most 100 characters."""
        if not typed.strip():
            return list(self.story.table.questions[:limit])
        so_far = utils.default_process(typed)

        def closeness(processed: str) -> float:
            """What was typed is the question's beginning, or names what the question holds."""
            return max(fuzz.ratio(so_far, processed[: len(so_far)]), fuzz.token_set_ratio(so_far, processed))

        found = {question: closeness(processed) for question, processed in self._suggested.items()}
        close = [question for question, score in found.items() if score >= SUGGESTED]
        return sorted(close, key=lambda question: -found[question])[:limit]

    def _decide(self, question: str, context: Context = ALONE, ranking: Ranking | None = None) -> tuple[Reply, Step]:
        """The reply to one question in its context; `ranking` where it has been ranked there already."""
        normalised, before = self.matcher.normalised(question), self.matcher.normalised(context.question)
        given = {answer.fact for answer in context.given}
        match = self.matcher.match(normalised, ranking or self.matcher.rank(normalised, before), context.line, given)
        fresh = [c for c in match.candidates if not any(_repeats(c, given) for given in context.given)]
        scored = sorted(
            ((c, self._gate.probability(c.signals)) for c in fresh),
            key=lambda pair: (
                -self._gate.preference(pair[0].signals),
                pair[0].fact.line,
                pair[0].fact.id,
                pair[0].answer,
            ),
        )
        reply, rule = self._gated(match, scored, context)
        return reply, Step(question, match, tuple(scored), rule, self._gate)

    def _gated(self, match: Match, scored: list[tuple[Candidate, float]], context: Context) -> tuple[Reply, str]:
        strange = match.unknown >= OFF_TOPIC_UNKNOWN and match.ranking.best < OFF_TOPIC_RANK
        reads = max((candidate.signals.reads for candidate in match.candidates), default=OFF_TOPIC_READS)
        gap = match.ranking.gap if match.ranking.gap_score >= GAP_NAMED else None
        if context == ALONE and strange and reads < OFF_TOPIC_READS and not gap:
            return OffTopic(self._openers()), "off topic: nothing in it is close to the story"
        if not scored or (context.stranger and match.unknown == 1):
            suggestions = self._suggestions(match, [])[:2]
            return NotInStory(GENERAL_REFUSAL, suggestions), "not in the story: nothing new, or a name it does not hold"
        best, probability = scored[0]
        score = round(100 * probability, 1)
        outcome = self._gate.outcome(probability, follows=context != ALONE)
        if outcome == "answer" and best.signals.type_misfit:
            outcome = "offer"  # what cannot be an answer of the kind asked for is none, however close it comes
        if outcome == "answer":
            return self._answer(best, score), f"answer: {score} is over the threshold"
        suggestions = self._suggestions(match, [c.fact for c, _ in scored])
        known = gap and best.signals.gap_lead < GAP_CLOSER
        if outcome == "offer" and len(suggestions) > 1 and not known:
            return DidYouMean(suggestions, score), f"did you mean: {score} is between the thresholds"
        says = gap.says if gap else GENERAL_REFUSAL
        reply = NotInStory(says, suggestions[:2], score, gap.id if gap else None, gap.line if gap else None)
        why = "a known gap lies closer than any fact" if known else f"{score} is below the thresholds"
        return reply, f"not in the story: {why}"

    def _answer(self, best: Candidate, score: float) -> Answer:
        corrects = best.reading.contradicts > best.reading.answers
        confirms = best.reading.answers > best.reading.contradicts
        answer = best.answer if best.answer.strip() else best.passage.text
        # Nothing says yes to what the line contradicts, or to what names something that the story does not hold; and
        # nothing says no to what the line confirms.
        opening = words(answer)[:1]
        if (opening == ["yes"] and (corrects or best.signals.unknown)) or (opening == ["no"] and confirms):
            answer = best.quote
        return replace(self._answer_of(best.fact, answer, best.quote, score, best.start), corrects=corrects)

    def _answer_of(self, fact: Fact, answer: str, quote: str, score: float, start: int | None = None) -> Answer:
        shown = self.story.article.sentences_with(fact.line, quote, start)
        marked = answer if answer in shown.text else quote if quote in shown.text else ""
        at = shown.text.find(marked) if start is None else start - shown.start
        source = Source(self.story.name, fact.line, shown.text, marked, at if marked else -1)
        return Answer(answer, (source,), fact.id, score, drafted=fact.status == "draft")

    def _remark(self, kind: Aside, told: Reply, answer: Answer | None) -> Reply:
        """What was told last, or more of what was answered last."""
        if kind != "more" or not answer:
            return told
        source = answer.sources[0]
        others = [f for f in self.story.table.facts if f.line == source.line and f.id != answer.fact]
        fresh = [f for f in others if not holds_words(answer.answer, f.answer)]
        suggestions = tuple(_suggestion(f) for f in (fresh or others)[:SUGGESTIONS])
        line = self.story.article.line(source.line)
        at = line.find(source.text) + source.at if source.marked else -1
        whole = replace(source, text=line, at=at)
        return replace(answer, sources=(whole,), suggestions=suggestions)

    def _suggestions(self, match: Match, facts: list[Fact]) -> tuple[Suggestion, ...]:
        closest = [*facts, *match.closest]
        unique = list({fact.id: fact for fact in closest}.values())
        return tuple(map(_suggestion, unique[:SUGGESTIONS]))

    def _openers(self) -> tuple[Suggestion, ...]:
        """Facts to begin with: what the story is about, then the first of each of the article's first lines."""
        facts = self.story.table.facts
        firsts: dict[int, Fact] = {f.line: f for f in facts if any(map(asks_for_gist, f.questions))}
        for fact in facts:
            firsts.setdefault(fact.line, fact)
        return tuple(map(_suggestion, list(firsts.values())[:SUGGESTIONS]))


def _repeats(candidate: Candidate, said: Answer) -> bool:
    """Whether a candidate of a draft, where a fact is a line, says what was just said.

    Of a reviewed table the matcher leaves out the facts that were given. Words that hold those of the last answer and
    go on are no repetition: what "Kim" did is asked next.
    """
    if not said.drafted or candidate.fact.line != said.sources[0].line:
        return False
    shared = word_overlap(words(candidate.answer), words(said.answer))
    return shared >= SAID_AGAIN or holds_words(said.answer, candidate.answer)


def _last_answer(turn: Turn) -> Answer | None:
    """The last answer; of a compound message that to its last question: all together are for remarks on the reply."""
    return turn.given[-1] if turn.given else turn.answer


def _unanswered(reply: Reply, which: str) -> str:
    """What is said of a question that has no answer beside one that has. In public, no reader's words are repeated."""
    if isinstance(reply, NotInStory) and reply.gap:
        return reply.says
    if isinstance(reply, DidYouMean):
        return f"Please ask your {which} question on its own."
    return f"To your {which} question the story has no answer."


def _suggestion(fact: Fact) -> Suggestion:
    return Suggestion(fact.questions[0], fact.id, fact.line)


def _says_all(one: Answer, other: Answer) -> bool:
    """Whether an answer says all that another one does: in its words, or from the same line in any order."""
    if holds_words(one.answer, other.answer):
        return True
    told = stems([other.answer])
    return bool(told) and one.sources[0].line == other.sources[0].line and told <= stems([one.answer])


def _together(replies: list[Reply]) -> Reply:
    """One reply to a compound message: the answers to its parts joined; the last reply where none is an answer."""
    kept: list[Answer] = []
    for answer in replies:
        if isinstance(answer, Answer) and not any(_says_all(other, answer) for other in kept):
            kept = [other for other in kept if not _says_all(answer, other)] + [answer]
    if not kept:
        return replies[-1]
    sources = tuple({(s.line, s.text): s for answer in kept for s in answer.sources}.values())
    return replace(
        kept[0],
        answer="; ".join(answer.answer for answer in kept),
        sources=sources,
        score=min(answer.score for answer in kept),
        corrects=any(answer.corrects for answer in kept),
        drafted=any(answer.drafted for answer in kept),
    )


def build_responder(story: Story, models: Models) -> Responder:
    """A responder for a story; encodes the story, or takes its encodings from the cache."""
    return Responder(story, models)
