"""Widen a marked span to what an editor would keep: whole words, the unit, the title, the whole quotation."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.answering.reader import Span

# Spans that the reader holds nearly as likely as its best one (within a factor of e^4, about 55) are taken in with it:
# a word too many is checked at a glance, a word too few hides the answer.
NEARLY = 4.0
MAX_WORDS = 14  # what can be taken in at a glance

_WORD_PART = re.compile(r"[\w$€£%]|(?<=\w)[-'’.,:](?=\w)")
_UNIT = re.compile(r"\s?(?:%|percent\b|per cent\b|million\b|billion\b|trillion\b|thousand\b|hundred\b|dozen\b)")
_PAIRS = {"“": "”", "‘": "’", "(": ")", "«": "»"}
MAX_QUOTATION = 220  # a longer quotation is not closed for the sake of its mark: the answer is to be short


def _in_word(text: str, at: int) -> bool:
    return 0 <= at < len(text) and bool(_WORD_PART.match(text, at))


def _closed(text: str, start: int, end: int) -> tuple[int, int]:
    """Take in the other mark of a quotation or bracket that the span holds only one of."""
    for opening, closing in _PAIRS.items():
        inside = text[start:end]
        if inside.count(opening) > inside.count(closing):
            stop = text.find(closing, end)
            if 0 <= stop < start + MAX_QUOTATION:
                end = stop + 1
        elif closing != "’" and inside.count(closing) > inside.count(opening):
            begin = text.rfind(opening, 0, start)
            if begin >= 0 and end - begin < MAX_QUOTATION:
                start = begin
        elif start and text[start - 1] == opening and text[end : end + 1] == closing:
            start, end = start - 1, end + 1
    return start, end


def widened(text: str, start: int, end: int) -> tuple[int, int]:
    """Offsets of the widened span; always within the text, never empty where the text has a word."""
    start, end = max(0, min(start, len(text))), max(0, min(end, len(text)))
    while start > 0 and _in_word(text, start) and _in_word(text, start - 1):
        start -= 1
    while end < len(text) and end > 0 and _in_word(text, end - 1) and _in_word(text, end):
        end += 1
    if start and text[start - 1] in "$€£":
        start -= 1
    unit = _UNIT.match(text, end) if end and text[end - 1].isdigit() else None
    if unit:
        end = unit.end()
    start, end = _closed(text, start, end)
    while start < end and text[start] in " ,;:.–—-":
        start += 1
    while end > start and text[end - 1] in " ,;:–—":
        end -= 1
    return start, end


def distinct(text: str, spans: Sequence[Span], limit: int) -> list[Span]:
    """At most `limit` widened spans that do not overlap, best first; each takes in what is nearly as likely."""
    found: list[Span] = []
    for span in spans:
        start, end = widened(text, span.start, span.end)
        if any(start < other.end and other.start < end for other in found):
            continue
        for near in spans:
            if near.score < span.score - NEARLY or near.start >= end or near.end <= start:
                continue
            left, right = widened(text, min(start, near.start), max(end, near.end))
            if len(text[left:right].split()) <= MAX_WORDS:
                start, end = left, right
        if not any(start < other.end and other.start < end for other in found):
            found.append(Span(start, end, span.score))
        if len(found) == limit:
            break
    return found
