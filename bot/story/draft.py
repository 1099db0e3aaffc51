"""Draft a fact table from an article: rows that an editor can start from, each one verbatim from its line.

A draft asks nothing that it cannot prove. Every sentence becomes a row, and every date, number and quotation in it a
row of its own whose question is the sentence with the answer left out.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from itertools import chain, count
from types import MappingProxyType

from bot.story.article import Article, Sentence
from bot.story.lint import MAX_ANSWER, MAX_QUESTION, MAX_TITLE, question_key
from bot.story.table import AnswerType, Fact, FactTable

_MONTH = (
    r"(?:Jan(?:uary|\.)?|Feb(?:ruary|\.)?|Mar(?:ch|\.)?|Apr(?:il|\.)?|May|June?|July?|Aug(?:ust|\.)?"
    r"|Sept?(?:ember|\.)?|Oct(?:ober|\.)?|Nov(?:ember|\.)?|Dec(?:ember|\.)?)"
)
_DATE = re.compile(
    rf"\b{_MONTH} \d{{1,2}}(?:, \d{{4}})?\b|\b\d{{1,2}} {_MONTH}(?: \d{{4}})?\b|\b{_MONTH} \d{{4}}\b"
    r"|\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b|\b(?:19|20)\d\d\b"
)
_NUMBER = re.compile(r"(?:[$€£]\s?)?\b\d+(?:[.,:]\d+)*(?:\s?%|\s(?:percent|million|billion|thousand)\b)?(?:\s[a-z]+)?")
_QUOTATION = re.compile(r"“([^”]{8,})”|\"([^\"]{8,})\"")
_ASKED: Mapping[AnswerType, str] = MappingProxyType({"when": "When", "how-many": "How many", "quote": "In which words"})
_PUNCTUATION = re.compile(r"[^a-z0-9]+")
_ID_WORDS = 5


def shortened(text: str, limit: int) -> str:
    """Text cut at a word, with an ellipsis, to at most `limit` characters."""
    if len(text) <= limit:
        return text
    return text[: limit - 1].rsplit(" ", 1)[0].rstrip(",;:—–- ") + "…"


def title_of(article: Article) -> str:
    """A working title: the first sentence of the article."""
    first = next(iter(article.sentences), None)
    return shortened(first.text, min(MAX_TITLE, 80)) if first else ""


def _slug(text: str) -> str:
    return "-".join(_PUNCTUATION.sub(" ", text.lower()).split()[:_ID_WORDS])[:44].strip("-") or "row"


def _spans(sentence: Sentence) -> Iterator[tuple[AnswerType, str, int]]:
    taken: list[tuple[int, int]] = []
    kinds: tuple[tuple[AnswerType, re.Pattern[str]], ...] = (
        ("quote", _QUOTATION),
        ("when", _DATE),
        ("how-many", _NUMBER),
    )
    for asks, pattern in kinds:
        for match in pattern.finditer(sentence.text):
            span = match.span()
            if any(span[0] < end and start < span[1] for start, end in taken):
                continue
            taken.append(span)
            yield asks, match.group().strip(), match.start()


def _cloze(asks: AnswerType, answer: str, at: int, text: str) -> str:
    head = f"{_ASKED[asks]}? "
    left, right = text[:at], text[at + len(answer) :]
    # The words around the blank tell which of a sentence's dates or numbers is meant, so they are what is kept.
    room = MAX_QUESTION - len(head) - 3
    keep = max(room - min(len(right), room // 2), room // 2)
    if len(left) > keep:
        left = "…" + left[-(keep - 1) :].split(" ", 1)[-1]
    return shortened(head + left + "___" + right, MAX_QUESTION)


def _facts_of(sentence: Sentence) -> Iterator[Fact]:
    said = Fact(
        id=f"line-{sentence.line}-{_slug(sentence.text)}",
        asks="what",
        answer=shortened(sentence.text, MAX_ANSWER).rstrip("…") if len(sentence.text) > MAX_ANSWER else sentence.text,
        line=sentence.line,
        quote=sentence.text,
        questions=(f"What is said here: {shortened(sentence.text, MAX_QUESTION - 20)}",),
    )
    yield said
    for asks, answer, at in _spans(sentence):
        if len(answer) <= MAX_ANSWER:
            yield Fact(
                id=f"line-{sentence.line}-{asks}-{_slug(answer)}",
                asks=asks,
                answer=answer,
                line=sentence.line,
                quote=sentence.text,
                questions=(_cloze(asks, answer, at, sentence.text),),
            )


def unused(fact_id: str, ids: Container[str]) -> str:
    """The id, numbered where it is taken."""
    numbered = chain([fact_id], (f"{fact_id}-{number}" for number in count(2)))
    return next(one for one in numbered if one not in ids)


def draft_facts(article: Article) -> tuple[Fact, ...]:
    """Drafted rows of all sentences, in reading order, with unique ids and questions."""
    facts, ids, questions = [], set[str](), set[str]()
    for sentence in article.sentences:
        for fact in _facts_of(sentence):
            question, key = fact.questions[0], question_key(fact.questions[0])
            if key in questions:  # two sentences that begin alike
                place = f" (line {fact.line})"
                question = shortened(question, MAX_QUESTION - len(place)) + place
                key = question_key(question)
            if key in questions:
                continue
            fact_id = unused(fact.id, ids)
            ids.add(fact_id)
            questions.add(key)
            facts.append(Fact(fact_id, fact.asks, fact.answer, fact.line, fact.quote, (question,)))
    return tuple(facts)


def draft_table(article: Article, file: str) -> FactTable:
    """A whole table for an article that nobody has reviewed; `file` is the article's file name."""
    return FactTable(title=title_of(article), article=file, sha256=article.sha256, facts=draft_facts(article))
