"""Text of messages: cleaning, words, stop words, stems, and the split of a compound message."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_MESSAGE = 600  # characters that are read; a question has 20 to 200, the rest of a long message is not one

# Between an earlier question and the follow-up to it, and between a question and its answer, as the model was taught.
# No cleaned message holds the first.
BEHIND = " >> "
ANSWERED = " : "

_MARKUP = re.compile(r"```.*?```|<(?:@[!&]?|#|a?:\w+:|t:)\S*?>|https?://\S+", re.DOTALL)
_MARKDOWN = re.compile(r"[*_`~|>#\\]+")
_WORD = re.compile(r"\w+(?:[-.]\w+)*", re.UNICODE)
_POSSESSIVE = re.compile(r"(?<=\w)'s\b")
_NAME = re.compile(r"(?<=[\w,;:’'-] )[(“\"‘]?[A-Z][\w.-]*\w")

STOP_WORDS = frozenset(
    "a about above after again all also am an and any anybody anyone anything are aren as at be because been "
    "before being between both but by can cannot could couldn d did didn do does doesn doing don down during each "
    "either else ever every exactly few for from further get give gets go got had hadn has hasn have haven having "
    "he hello help her here hers him himself his how i if in into is isn it its itself just know let like ll m "
    "many may maybe me mean might more most much must my myself no nor not now of off ok okay on once one only or "
    "other our out over own please pls plz question re really s said same say says she should shouldn so some "
    "somebody someone something still such t tell than thanks that the their them then there these they thing "
    "things this those though tho through to too u under until up us ve very want was wasn way we well were weren "
    "what whats when where whether which while who whos whom whose why will with wonder wondering would "
    "wouldn ya yeah yes yet you your yours article story news text anyway actually basically lol um uh hey hi btw "
    "bro dude lmao idk ur wait so yo going gonna gotta wanna dunno ain".split()
)  # closed-class words and what chat adds to them: none of them tells one fact from another

_QUESTION_WORD = (
    r"(?:who(?:se|m)?|whats?|when|where|why|how|which|did|does|do|is|are|was|were|has|have|had|will|would|can|could)"
)
# "and on what date": a preposition may stand before the second question word, though not before an auxiliary.
_NEXT = rf"(?:{_QUESTION_WORD}|(?:about|at|by|for|from|in|of|on|since|to|under|until|with) (?:wh\w+|how))"
_SPLIT = re.compile(rf"\?+\s+(?=\w)|(?:,|;)?\s+(?:and|also|plus|&)\s+(?:also\s+)?(?={_NEXT}\b)", re.IGNORECASE)
_ASKS = re.compile(rf"\b{_QUESTION_WORD}\b", re.IGNORECASE)


def behind(before: str, message: str) -> str:
    """A follow-up behind what was asked before it."""
    return f"{before}{BEHIND}{message}"


def clean(message: str) -> str:
    """A message without control characters, mentions, links, code blocks and Markdown; at most MAX_MESSAGE long."""
    text = unicodedata.normalize("NFKC", message[: 4 * MAX_MESSAGE])
    text = "".join(_seen(character) for character in text)
    text = _MARKDOWN.sub(" ", _MARKUP.sub(" ", text)).replace("’", "'").replace("‘", "'")
    text = " ".join(text.split())
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE].rsplit(" ", 1)[0]


def _seen(character: str) -> str:
    """What a reader sees of a character: nothing of a soft hyphen or a mark of direction, a blank of a control."""
    category = unicodedata.category(character)
    return "" if category == "Cf" else " " if category in ("Cc", "Zl", "Zp", "Cs", "Co", "Cn") else character


def fold_accents(text: str) -> str:
    """Text without accents: é is e."""
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def words(text: str) -> list[str]:
    """The words of a text in lower case, without accents and without a possessive ending."""
    plain = fold_accents(text.replace("’", "'").lower()).replace("won't", "will not")
    return _WORD.findall(_POSSESSIVE.sub("", plain))


def holds_words(text: str, part: str) -> bool:
    """Whether the words of a part stand in a text, in a row: "3" does not stand in "13"."""
    told = words(part)
    return bool(told) and f" {' '.join(told)} " in f" {' '.join(words(text))} "


def content_words(text: str) -> list[str]:
    """The words that carry the sense, in order: no stop words, no single letters."""
    return [word for word in words(text) if word not in STOP_WORDS and (len(word) > 1 or word.isdigit())]


def names(text: str) -> set[str]:
    """The words of a text, in lower case, that are written as names: with a capital, and not first of a sentence."""
    return {word for name in _NAME.findall(fold_accents(text)) for word in content_words(name)}


def numbers(text: str) -> set[str]:
    """The words of a text that hold a digit."""
    return {word for word in words(text) if any(map(str.isdigit, word))}


def stem(word: str) -> str:
    """A word without its common English endings: a light stemmer, after the S-stemmer (Harman, 1991)."""
    for ending, replacement, least in (
        ("ies", "y", 5), ("ied", "y", 5), ("sses", "ss", 6), ("ing", "", 6), ("ment", "", 8),
        ("ed", "", 5), ("es", "", 5), ("s", "", 4), ("ly", "", 6),
    ):  # fmt: skip
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            word = word[: -len(ending)] + replacement
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def stems(texts: Iterable[str]) -> set[str]:
    """The stems of all content words of some texts."""
    return {stem(word) for text in texts for word in content_words(text)}


def parts(message: str) -> list[str]:
    """The questions of a compound message, in order; the message itself where it asks one thing.

    At most three: a longer list is a list, not a question.
    """
    found = [part.strip(" ?,;") for part in _SPLIT.split(message)]
    found = [part for part in found if part]
    asking = [part for part in found if _ASKS.search(part)]
    if len(asking) < 2 or len(asking) != len(found) or len(found) > 3:
        return [message]
    return found
