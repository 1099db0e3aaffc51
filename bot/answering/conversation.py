"""The conversation: a bounded memory of last answers, and follow-ups resolved against them."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from bot.answering.reply import Answer, Reply
from bot.answering.text import ANSWERED, BEHIND, behind, clean, content_words, words

MAX_QUESTION_WORDS = 40  # of the earlier questions and answers that a follow-up is ranked with

Aside = Literal["source", "sure", "again", "more"]

_THAT = r"(?:that|this|it)"
_TAIL = rf"(?: (?:about|on) {_THAT}| please| pls)?\W*$"
_STORY = r"(?:it|the (?:story|article|text))"
_SURE = r"(?:sure|certain|serious|positive)"
_TRUE = r"(?:true|right|correct|so|certain)"
_MORE = r"more(?: details?| info\w*)?|(?:any(?:thing)?|what) else|go on|continue|elaborate|expand|details"


def _aside(opening: str, remark: str) -> re.Pattern[str]:
    return re.compile(rf"^(?:(?:{opening})\W+)*(?:{remark}){_TAIL}", re.IGNORECASE)


_ASIDES: tuple[tuple[Aside, re.Pattern[str]], ...] = (
    (
        "source",
        _aside(
            "and|but|so|ok|wait|um",
            rf"(?:where|which line)(?: exactly)? (?:does {_STORY} say|says|is) {_THAT}(?: written)?(?: in {_STORY})?"
            r"|(?:what(?:'s| is|s) (?:your|the|ur) )?(?:source|proof|evidence|citation)|which line|says who"
            rf"|how (?:do|can) (?:you|u|we) know(?: {_THAT})?"
            r"|show me(?: the (?:line|source|proof))?",
        ),
    ),
    (
        "sure",
        _aside(
            "and|but|so|wait|um|hm+",
            rf"(?:are|r) (?:you|u) (?:really |absolutely |very )?{_SURE}|really|for real|seriously|sure"
            rf"|is {_THAT} (?:really )?{_TRUE}",
        ),
    ),
    (
        "again",
        _aside(
            "and|but|so|ok|wait|sorry|um|can you|could you|please|pls",
            rf"what(?: was| is|['’]?s) {_THAT} again|(?:say|repeat|tell me) {_THAT} again"
            rf"|(?:come|once|say|tell me) again|repeat(?: {_THAT})?|again|once more|what did (?:you|u) (?:just )?say",
        ),
    ),
    (
        "more",
        _aside("and|ok|please|pls|can you|could you", rf"(?:tell me (?:some |a bit |a little )?)?(?:{_MORE})"),
    ),
)
_CONTINUES = re.compile(
    r"^(?:and|but|so|or|also|then|wh?at about|how about|what of|why not|what if|same for|ok (?:and|but|so))\b",
    re.IGNORECASE,
)
_ANOTHER = re.compile(r"^(?:(?:and|but|ok|so|then)\W+)*(?:(?:wh?at|how) (?:about|of)|and|same for)\b", re.IGNORECASE)
_POINTS_BACK = re.compile(
    r"\b(?:it|its|that|this|they|them|their|theirs|he|him|his|she|her|hers|those|these|there|then|one|ones|both"
    r"|the same|another|others?|else)\b",
    re.IGNORECASE,
)
_BARE_CONTENT = 1  # "when exactly", "how many troops": so few words of substance lean on what was said before
_POINTING_CONTENT = 4  # with a pronoun a message may name a few things and still lean on what was said before


_WHO_SAID = re.compile(
    r"^(?:(?:and|but|so|ok|or|then|wait)\W+)*"
    r"(?P<asks>who(?:['’]s| is| was| has| ever)? (?:says?|said|saying|claim(?:s|ed|ing)?|report(?:s|ed)?|states?|stated"
    r"|tells|told|announced|confirmed|declared|wrote)) (?:that|this|it|so|these|those|them)\b(?: words?)?\W*$",
    re.IGNORECASE,
)
_PERSON = re.compile(r"\b(?:he|him|she|they|them)\b", re.IGNORECASE)
MAX_GIVEN = 4  # answers of a chain of follow-ups that are not given again


@dataclass(frozen=True)
class Turn:
    """What a follow-up is read against: the question as understood, and the answer given, if any.

    `question` is all that was asked since a question that stood by itself, with the answers; `given` are the last
    answers since then: none of them is asked for again. `told` is the last reply, which a remark is about; `story` is
    the name of the story that was asked about.
    """

    question: str
    answer: Answer | None
    given: tuple[Answer, ...] = ()
    told: Reply | None = None
    story: str = ""


START = Turn("", None)  # of a conversation


def follows_up(message: str) -> bool:
    """Whether a message makes sense only after another one: a remark on an answer, or a question that leans."""
    text = clean(message)
    return aside(text) is not None or leans_on_before(text)


def aside(message: str) -> Aside | None:
    """A remark on the last answer that needs no new look-up, or None."""
    return next((kind for kind, pattern in _ASIDES if pattern.search(message)), None)


def leans_on_before(message: str) -> bool:
    """Whether a message makes sense only after another one."""
    content = content_words(message)
    if _CONTINUES.search(message) and len(content) <= _POINTING_CONTENT + 2:
        return True
    if not content or (len(content) <= _BARE_CONTENT and len(words(message)) <= 3):
        return True
    return bool(_POINTS_BACK.search(message)) and len(content) <= _POINTING_CONTENT


def asks_who_said(message: str) -> bool:
    """Whether a follow-up asks for the speaker of what was just answered: "who said that?"."""
    return bool(_WHO_SAID.search(message))


def who_said(message: str, sentence: str) -> str:
    """A follow-up with the sentence that was just quoted for its "that": "who said that?"."""
    return _WHO_SAID.sub(lambda found: f"{found['asks']} {sentence.rstrip('.')}?", message)


def named(message: str, name: str) -> str:
    """A follow-up with a name for the first "he", "she" or "they" in it."""
    return _PERSON.sub(lambda _: name, message, count=1)


def last_words(question: str) -> str:
    """As much of an earlier question as a follow-up is read with."""
    return " ".join(question.split()[-MAX_QUESTION_WORDS:]).removeprefix(BEHIND.lstrip())


def answered(question: str, answer: str) -> str:
    """A question with its answer, as a follow-up is read behind it: "he" and "there" may stand for what it names."""
    return f"{question}{ANSWERED}{answer}"


def next_turn(turn: Turn, message: str, leans: bool, reply: Reply | None) -> Turn:
    """What the next message is read against, after one that leans on a turn or stands by itself, and its reply."""
    asked, given = (behind(last_words(turn.question), message), turn.given) if leans else (message, ())
    if not isinstance(reply, Answer):
        return Turn(asked, turn.answer, given, reply)
    return Turn(answered(asked, reply.answer), reply, (*given, reply)[-MAX_GIVEN:], reply)


def names_another(message: str) -> bool:
    """Whether a follow-up only puts another name in the place of one: "what about Seoul?"."""
    return bool(_ANOTHER.search(message))


class Conversations:
    """Last turns by key, at most `max_readers` of them and none older than `max_age_s` seconds.

    The time is given by the caller; what is remembered lives in memory only.
    """

    def __init__(self, max_readers: int = 2000, max_age_s: float = 900.0) -> None:
        self._max_readers, self._max_age_s = max_readers, max_age_s
        self._turns: OrderedDict[str, tuple[float, Turn]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._turns)

    def previous(self, key: str, now: float) -> Turn | None:
        """The last turn of a conversation, or None where there is none or it is too old."""
        kept = self._turns.get(key)
        if kept is None:
            return None
        if now - kept[0] > self._max_age_s:
            del self._turns[key]
            return None
        return kept[1]

    def remember(self, key: str, turn: Turn, now: float) -> None:
        """Keep a turn, and let go of what is too old or too much."""
        self._turns[key] = (now, turn)
        self._turns.move_to_end(key)
        while self._turns:
            oldest = next(iter(self._turns))
            if len(self._turns) <= self._max_readers and now - self._turns[oldest][0] <= self._max_age_s:
                break
            del self._turns[oldest]

    def forget(self, prefix: str) -> int:
        """Forget every conversation whose key begins with `prefix`; the number forgotten."""
        keys = [key for key in self._turns if key.startswith(prefix)]
        for key in keys:
            del self._turns[key]
        return len(keys)
