"""A reply as a Discord message: answer first, then the source line as a quotation; escaped, and within the limits.

Plain message text, neither embeds nor layout components: it is what a notification, a reply's preview, a screen reader
and a search show, and it reads the same on a phone.
"""

from __future__ import annotations

import re
from typing import assert_never

import discord

from bot.answering.reply import Answer, DidYouMean, NotInStory, OffTopic, Reply, Smalltalk, Source, Suggestion
from bot.story.draft import shortened
from bot.surfaces.plain import DRAFT_NOTE, opening, refusal, smalltalk_text

MAX_CONTENT = 2000  # characters of a message
MAX_LABEL = 80  # characters of a button's label
MAX_CHOICE = 100  # characters of an autocomplete choice
NOBODY = discord.AllowedMentions.none()

_SOURCE_ROOMS = (900, 400, 150, 60)  # of a source's text; the widest with which the whole message fits
_MAX_ANSWER = 500  # of an answer's text; a longer one is no short answer, and its source says the rest
_MAX_SOURCES = 3  # one for each question of a message: more than three are not taken apart
# A link as it is, or a character that Discord would take for markup. An opening bracket is enough: no masked link
# begins without it, and a backslash before the closing one would become part of a link that stands there.
_LINK_OR_MARKUP = re.compile(r"(?P<link>https?://[^\s<\[\\`*|]+)|[\\`*_~|\[<]|^[>#-]")
_LINE_ROOMS = (550, 400, 250)  # of each line in context; markup at most doubles the last, and three still fit


def escaped(text: str) -> str:
    """Text that Discord shows as it is, at most twice as long: no Markdown, no mention, no line break."""
    plain = _LINK_OR_MARKUP.sub(lambda found: found["link"] or f"\\{found[0]}", " ".join(text.split()))
    return discord.utils.escape_mentions(plain)


def quoted(source: Source, title: str, room: int = _SOURCE_ROOMS[0]) -> str:
    """A source as a block quotation, the answer's words in it marked bold, with line number and story."""
    text, at = _excerpt(source, room)
    if at >= 0 and source.marked.strip() != text.strip():
        end = at + len(source.marked)
        body = f"{_escaped_inside(text[:at])}**{escaped(source.marked)}**{_escaped_inside(text[end:])}"
    else:
        body = escaped(text)
    return f"> {body}\n-# Line {source.line} of “{escaped(shortened(title, 120))}”"


def _excerpt(source: Source, room: int) -> tuple[str, int]:
    """As much of a text as there is room for, and where in it the marked words begin; -1 where none are marked."""
    text, at, length = source.text, source.at, len(source.marked)
    if len(text) <= room:
        return text, at
    if at < 0 or length > room:
        return shortened(text, room), -1
    start = max(0, min(at - (room - length) // 2, len(text) - room))
    before, after = "…" if start else "", "…" if start + room < len(text) else ""
    return f"{before}{text[start : start + room]}{after}", at - start + len(before)


def _escaped_inside(text: str) -> str:
    left, right = " " if text[:1].isspace() else "", " " if text[-1:].isspace() else ""
    return f"{left}{escaped(text)}{right}" if text.strip() else left


def listed(suggestions: tuple[Suggestion, ...], lead: str) -> str:
    """Suggestions as a list under a lead, or nothing."""
    return "\n".join([lead, *(f"- {escaped(s.question)}" for s in suggestions)]) if suggestions else ""


def content(reply: Reply, title: str) -> str:
    """The text of a reply about a story of that title, at most 2,000 characters."""
    texts = (_text(reply, title, room).strip() for room in _SOURCE_ROOMS)
    narrowest = _text(reply, title, _SOURCE_ROOMS[-1])
    return shortened(next((text for text in texts if len(text) <= MAX_CONTENT), narrowest), MAX_CONTENT)


def _text(reply: Reply, title: str, room: int) -> str:
    match reply:
        case Answer():
            lead = opening(reply).removesuffix(reply.answer)
            head = f"{escaped(lead)} **{escaped(shortened(reply.answer, _MAX_ANSWER))}**".strip()
            note = f"-# {DRAFT_NOTE}" if reply.drafted else ""
            more = listed(reply.suggestions, "The same line also answers:")
            sources = [quoted(source, title, room) for source in reply.sources[:_MAX_SOURCES]]
            unanswered = [escaped(shortened(sentence, 300)) for sentence in reply.unanswered[:2]]
            return "\n".join(part for part in (head, *sources, note, *unanswered, more) if part)
        case DidYouMean():
            return listed(reply.suggestions, "Did you mean:")
        case NotInStory():
            return f"{escaped(refusal(reply))}\n{listed(reply.suggestions, 'What it does say something about:')}"
        case OffTopic():
            return f"That is not what this story is about.\n{listed(reply.suggestions, 'You could ask:')}"
        case Smalltalk():
            return f"{escaped(smalltalk_text(reply))}\n{listed(reply.suggestions, 'For example:')}"
        case _:
            assert_never(reply)


def with_neighbours(lines: tuple[str, ...], number: int) -> str:
    """A line between the nearest lines that hold words, each with its number; the line itself in bold."""
    full = [i for i, line in enumerate(lines, 1) if line.strip()]
    at = full.index(number)
    near = full[max(0, at - 1) : at + 2]
    texts = ("\n\n".join(_numbered(lines, i, room, i == number) for i in near) for room in _LINE_ROOMS)
    return next(text for text in texts if len(text) <= MAX_CONTENT)


def _numbered(lines: tuple[str, ...], number: int, room: int, marked: bool) -> str:
    text = escaped(shortened(lines[number - 1], room))
    return f"Line {number}: **{text}**" if marked else f"Line {number}: {text}"
