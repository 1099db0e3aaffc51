"""Statements to check, made from the articles themselves: some as they stand, some with one thing changed.

Readers ask "is it true that ...?" with a wrong number, day or name more often than the written rows do; a reader that
never saw one true and one false statement side by side takes both for answered.
"""

from __future__ import annotations

import random
import re

from training.examples import ANSWERS, CONTRADICTS, Example, roughened

OPENINGS = (
    "is it true that {}?", "I heard that {}", "so {}?", "did I get that right, {}?", "someone told me {}, correct?",
    "{}, true or false?", "{}", "wait, {}?", "my friend says {}", "can you confirm that {}?",
)  # fmt: skip
MIN_WORDS, MAX_WORDS = 5, 26

_SENTENCE = re.compile(r"[^.!?]+(?:\.\d+[^.!?]*)*[.!?]?")
_NUMBER = re.compile(r"\b\d[\d,]*(?:\.\d+)?\b")
_NUMBER_WORDS = "two three four five six seven eight nine ten eleven twelve dozens hundreds thousands".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_MONTHS = "January February March April June July August September October November December".split()
_NAME = re.compile(r"(?<![.!?“\"] )(?<!^)\b[A-Z][\w’-]+(?: [A-Z][\w’-]+)*\b")
_OPPOSITES = (
    ("before", "after"), ("more", "less"), ("won", "lost"), ("first", "last"), ("rose", "fell"), ("up", "down"),
    ("north", "south"), ("east", "west"), ("increase", "decrease"), ("higher", "lower"), ("under", "over"),
    ("accepted", "rejected"), ("confirmed", "denied"), ("win", "lose"), ("old", "new"), ("best", "worst"),
    ("all", "none"), ("oldest", "youngest"), ("men", "women"), ("son", "daughter"), ("brother", "sister"),
    ("largest", "smallest"), ("increased", "decreased"), ("opened", "closed"), ("start", "end"), ("began", "ended"),
)  # fmt: skip
_OPPOSITE = {a: b for one, two in _OPPOSITES for a, b in ((one, two), (two, one))}
_AUXILIARY = re.compile(r"\b(is|was|were|are|will|would|has|had|have|can|could|did)\b(?! not)")

Change = tuple[str, int, int]
"""The changed clause, and the offsets in the clause of what the article really says."""


def _number(clause: str, rng: random.Random) -> Change | None:
    found = [m for m in _NUMBER.finditer(clause) if m.group().replace(",", "").isdigit()]
    if not found:
        return None
    match = rng.choice(found)
    value = int(match.group().replace(",", ""))
    other = value + rng.choice((-3, -2, -1, 1, 2, 5)) if value >= 1000 and value < 2100 else 0
    while other <= 0 or other == value:
        other = rng.choice((value * 2, value * 10, value // 2, value + 1, value + 3, value - 1, value + 7, value - 5))
    told = f"{other:,}" if "," in match.group() else str(other)
    return clause[: match.start()] + told + clause[match.end() :], match.start(), match.end()


def _word(clause: str, rng: random.Random) -> Change | None:
    swaps: list[tuple[int, int, str]] = []
    for match in re.finditer(r"\w+", clause):
        word = match.group()
        families = [family for family in (_DAYS, _MONTHS, _NUMBER_WORDS) if word in family]
        others = [w for family in families for w in family if w != word] or [_OPPOSITE.get(word, "")]
        if others[0]:
            swaps.append((match.start(), match.end(), rng.choice(others)))
    if not swaps:
        return None
    start, end, other = rng.choice(swaps)
    return clause[:start] + other + clause[end:], start, end


def _roles(clause: str, rng: random.Random) -> Change | None:
    names = list(_NAME.finditer(clause))
    if len(names) < 2:
        return None
    one, two = sorted(rng.sample(names, 2), key=lambda m: m.start())
    between = clause[one.end() : two.start()]
    # Two names of a list ("France and Spain") can change places without changing the sense.
    if one.group() == two.group() or len(between.split()) < 2 or re.fullmatch(r"\s*(?:,[^,]*)*\s*and\s*", between):
        return None
    swapped = clause[: one.start()] + two.group() + between + one.group() + clause[two.end() :]
    return swapped, one.start(), two.end()


def _negated(clause: str, rng: random.Random) -> Change | None:
    found = list(_AUXILIARY.finditer(clause))
    if found:
        match = rng.choice(found)
        return clause[: match.end()] + " not" + clause[match.end() :], match.start(), min(len(clause), match.end() + 40)
    if " not " in clause:
        at = clause.index(" not ")
        return clause.replace(" not ", " ", 1), max(0, at - 20), min(len(clause), at + 30)
    return None


def _name(clause: str, others: list[str], rng: random.Random) -> Change | None:
    names = list(_NAME.finditer(clause))
    if not names or not others:
        return None
    match = rng.choice(names)
    strangers = [o for o in others if o not in clause and match.group() not in o]
    if not strangers:
        return None
    return clause[: match.start()] + rng.choice(strangers) + clause[match.end() :], match.start(), match.end()


def _clauses(line: str) -> list[tuple[int, str]]:
    """Sentences, and their first parts up to a comma, short enough to be typed, with their offsets."""
    found = []
    for match in _SENTENCE.finditer(line):
        text = match.group()
        lead = len(text) - len(text.lstrip())
        sentence = text.strip().rstrip(".!?")
        found += [
            (match.start() + lead + sentence.index(clause), clause)
            for clause in {sentence, sentence.split(", ")[0], sentence.split(", ")[-1]}
            if MIN_WORDS <= len(clause.split()) <= MAX_WORDS and not re.search(r"[“”\"]", clause)
        ]
    return sorted(found)


def _said(clause: str, rng: random.Random) -> str:
    text = clause[0].lower() + clause[1:] if clause[1:2].islower() and rng.random() < 0.5 else clause
    return roughened(rng.choice(OPENINGS).format(text), rng)


def statement_examples(lines: list[str], count: int, rng: random.Random) -> list[Example]:
    """About `count` changed statements of an article and as many true ones."""
    names = sorted({m.group() for line in lines for m in _NAME.finditer(line)})
    places = [(line, at, clause) for line in lines for at, clause in _clauses(line)]
    rng.shuffle(places)
    examples: list[Example] = []
    for line, at, clause in places:
        if len(examples) >= 2 * count:
            break
        ways = [_number(clause, rng), _word(clause, rng), _roles(clause, rng), _negated(clause, rng)]
        ways.append(_name(clause, names, rng))
        changes = [way for way in ways if way]
        if not changes:
            continue
        changed, start, end = rng.choice(changes[:-1] or changes if rng.random() < 0.7 else changes)
        examples.append(Example(_said(changed, rng), line, CONTRADICTS, at + start, at + end))
        examples.append(Example(_said(clause, rng), line, ANSWERS, at + start, at + end))
    return examples
