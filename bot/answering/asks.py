"""The kind of answer that a message asks for, and whether a piece of text can give it."""

from __future__ import annotations

import re

from bot.answering.text import content_words
from bot.story.table import AnswerType, Fact

_NUMBER_WORD = (
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
    r"|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|millions?|billions?"
    r"|dozens?|half|quarter|third|once|twice|double|triple|both|several|single|no|none|every|all)"
)
_MONTH = r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*"
_TIME = re.compile(
    rf"\b(?:{_MONTH}|(?:mon|tues|wednes|thurs|fri|satur|sun)day|(?:19|20)\d\d|today|yesterday|tomorrow|tonight|now"
    r"|last|next|this|ago|later|after|before|since|until|during|early|late|morning|evening|night|week\w*|month\w*"
    r"|year\w*|day\w*|hour\w*|minute\w*|a\.?m|p\.?m|decade\w*|century|spring|summer|autumn|fall|winter|when|soon"
    r"|immediately|first|already|noon|midnight|anniversary|\d+(?:st|nd|rd|th)|\d{1,2}:\d\d)\b",
    re.IGNORECASE,
)
_QUANTITY = re.compile(rf"\d(?!\d*(?:st|nd|rd|th)\b)|\b{_NUMBER_WORD}\b", re.IGNORECASE)  # "80th" counts nothing

_YES_NO = re.compile(r"\W*(?:yes|no)(?:\W*$|[,;:.!])", re.IGNORECASE)

_AUXILIARY = r"(?:did|does|do|is|are|was|were|has|have|had|will|would|can|could|should)(?:n['’]?t)?"
_PLACE, _DAY = r"(?:place|city|country|town|region|location)", r"(?:time|date|day|month|year)"
_SOMEBODY = r"(?:person|people|man|woman|official|leader|politician|agency|company)"
_OPENERS = r"(?:so|wait|and|but|ok|okay|hey|hi|hello|um|well|now|then|also)"
# "who" asks at the start of a clause; after a noun ("the soldiers who died") it only goes on about the noun, as "when"
# and "where" do after a verb ("what did he say when it sank").
_BEFORE = (
    r"and|but|so|or|know|tell|tells|me|is|was|were|are|wonder|wondering|ask|wait|ok|on|at|exactly|of|idea|about"
)  # fmt: skip
_STARTS = rf"(?:^|[,;:.!?-]\s*|\b(?:{_BEFORE})\s+)"
_OPENS = rf"(?:^|[,;:.!?-]\s*|\b(?:{_BEFORE}|say|says|said)\s+)"
_POLITE = re.compile(
    r"^\W*(?:(?:hi|hey|hello|so|ok|um|please|pls)\b\W*)*(?:(?:can|could|would|will) (?:you|u|someone|anyone|somebody)"
    r"(?: (?:please|pls))?(?: (?:tell|explain|say|show|give|remind)(?: (?:me|us|to me))?)?"
    r"|(?:do|does|did) (?:you|u|we|anyone|anybody|it)(?: (?:know|say|tell|mention))"
    r"|is it (?:known|clear|stated|mentioned|said))\b",
    re.IGNORECASE,
)
# In the order in which they are tried: a message that asks for a number and a time asks for the number.
_PATTERNS: tuple[tuple[AnswerType, tuple[str, ...]], ...] = (
    ("yes-no", (rf"^(?:{_OPENERS} )*{_AUXILIARY}\b",)),
    (
        "how-many",
        (
            r"\bhow (?:many|much|old|long(?! ago)|far(?! back)|big|large|often|tall|high|heavy|fast|deep|wide)\b",
            r"\bwhat (?:percent\w*|share|proportion|number|amount|age|sum|total)\b",
            r"\b(?:number|count|price|cost|salary|percentage|size) of\b|\btoll\b|\bheadcount\b",
        ),
    ),
    (
        "when",
        (
            rf"{_STARTS}when\b|\b(?:since|until|till|by|from) when\b|\bwhen\W*$",
            rf"\b(?:what|which) {_DAY}\b|\bdate\b",
            r"\bhow (?:far back|early|late|recent(?:ly)?|soon|long ago)\b",
        ),
    ),
    (
        "where",
        (rf"{_STARTS}where\b|\b(?:from|to) where\b|\bwhere(?: (?:at|to|from))?\W*$|\b(?:what|which) {_PLACE}\b",),
    ),
    (
        "why",
        (
            r"\bwhy\b|\bhow come\b|\bwhat (?:for|reason|made|caused|led|prompted|triggered|was the cause)\b",
            r"\breasons?\b",
        ),
    ),
    (
        "quote",
        (
            r"\bquot\w+\b|\b(?:exact|whose|which|what|own|in) words?\b|\bverbatim\b|\bwording\b|\bphrase\b",
            r"\bwhat (?:exactly |did .{0,40}\b)(?:say|said|call|describe)\b",
        ),
    ),
    ("whom", (r"\bwhom\b|\b(?:to|with|for|from|by|against) who\b|\bwho\b.*\b(?:to|with|for|against)\W*$",)),
    ("who", (rf"{_OPENS}who(?:s|'s)?\b|\bwhose\b|\bwhich {_SOMEBODY}\b|\bname of\b",)),
    ("how", (r"\bhow\b|\bby what means\b|\bin what (?:way|manner|form)\b",)),
    ("what", (r"\bwhat\b|\bwhich\b|\bwhats\b",)),
)
# A statement has a subject before its verb; keywords have neither.
_STATES = re.compile(
    r"\w+ .*\b(?:is|are|was|were|has|have|had|will|would|can|could|did|does|do|they|he|she|it|we|i|said|says|kept)\b",
    re.IGNORECASE,
)
_COMPILED = tuple((asks, re.compile("|".join(patterns), re.IGNORECASE)) for asks, patterns in _PATTERNS)
_NAMED = re.compile(
    r"[A-ZÀ-Þ]\w|\b(?:he|she|they|it|who|officials?|analysts?|police|people|\w+(?:ers|ors|ists|men|women|s))\b"
)

_GIST = re.compile(
    r"\b(?:what(?: ?'?s| is| was| are)?(?: all| even)? (?:this|that|it|the|going|happened)\b.*\b(?:about|on)\b"
    r"|what(?: ?'?s| is)? (?:this|it|the (?:big |main |whole )?(?:story|article|news|gist|point|headline|summary))"
    r"|what (?:happened|is going on|s going on|am i reading)|whats (?:going on|up with this|this)"
    r"|tl ?;?dr|gist|summar\w+|sum (?:it|this|that|things)? ?(?:all )?up|main (?:point|news|idea|thing)|headline"
    r"|in (?:short|a nutshell|brief|one sentence)|short version|fill me in|catch me up)\b",
    re.IGNORECASE,
)
# "what happened to them?", "what happened next?" ask about somebody or some time, not about the story
_POINTS = re.compile(r"\b(?:them|they|him|he|her|she|those|there|then|next|after\w*|before)\b", re.IGNORECASE)
_GIST_WORDS = frozenset(
    "story article news text gist summary summarise summarize summarized main point idea headline short version brief "
    "briefly nutshell sentence quick quickly tldr tl dr sum catch fill read reading happened happening going whole "
    "thing big deal piece words line two new late got here arrived joined missed gimme fuss hype drama buzz "
    "commotion".split()
)

# Kinds of answer that stand for each other: a reader's "who" is a table's "whom", a "how long" may be a "when".
_AKIN: dict[AnswerType, frozenset[AnswerType]] = {
    "who": frozenset(("who", "whom")),
    "whom": frozenset(("who", "whom")),
    "when": frozenset(("when", "how-many")),
    "how-many": frozenset(("how-many", "when")),
    "quote": frozenset(("quote", "what", "how")),
    "how": frozenset(("how", "what", "why", "quote")),
    "why": frozenset(("why", "how", "what", "quote")),
}


def asked(message: str) -> AnswerType | None:
    """The kind of answer asked for, or None where the message does not tell (keywords).

    A statement is to be checked: it asks whether it is so.
    """
    plain = _POLITE.sub("", message).strip()
    found: AnswerType | None = next((asks for asks, pattern in _COMPILED if pattern.search(plain)), None)
    return found or ("yes-no" if _STATES.search(plain) else None)


def asks_for_gist(message: str) -> bool:
    """Whether a message asks what the story is about, and nothing in particular."""
    if not _GIST.search(message) or _POINTS.search(message):
        return False
    return all(word in _GIST_WORDS for word in content_words(message))


def is_kind(wanted: AnswerType | None, given: AnswerType) -> bool:
    """Whether a fact is of the kind that a message asks for, or of one that stands for it."""
    return wanted is not None and given in _AKIN.get(wanted, frozenset((wanted,)))


def may_serve(wanted: AnswerType | None, fact: Fact) -> bool:
    """Whether a fact can answer a message that wants one kind: "Yes, …" answers no "when", a date no "how many"."""
    if wanted is None or wanted == "yes-no":
        return True
    if _YES_NO.match(fact.answer):
        return False
    if wanted in ("what", "how") or is_kind(wanted, fact.asks):
        return True
    return fact.asks not in ("when", "how-many") and can_give(wanted, fact.answer)


def can_give(wanted: AnswerType | None, text: str) -> bool:
    """Whether a text can be an answer of the wanted kind: a number for how-many, a time for when, a name for who."""
    if wanted == "how-many":
        return bool(_QUANTITY.search(text))
    if wanted == "when":
        return bool(_TIME.search(text))
    if wanted in ("who", "whom"):
        return bool(_NAMED.search(text))
    return True
