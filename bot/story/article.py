"""The article: its lines as an editor counts them, and the sentences in them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path

from bot.errors import StoryError

ARTICLE_SUFFIXES = (".txt", ".html", ".htm")
MAX_ARTICLE_BYTES = 1_000_000  # a long read has 60 kB; a larger file is not an article

_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Prof|Gen|Col|Lt|Sgt|Capt|Rev|Sen|Rep|Gov|Jr|Sr|No|vs|etc|Inc|Ltd|Co|Corp"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)|\b[A-Za-z](?:\.[A-Za-z])*)\.$"
)
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’»)\]]*\s+(?=[\"'“‘«(\[]?(\w))")
_CLOSED = re.compile(r"[.!?…][\"'”’»)\]]*$")


@dataclass(frozen=True, order=True)
class Sentence:
    """A sentence as it stands in the article; `line` counts from 1, `start` is its offset in that line."""

    line: int
    start: int
    text: str


def split_sentences(text: str) -> list[tuple[int, str]]:
    """Offsets and texts of the sentences in one line, in order; joined they are the line without outer blanks."""
    found, begin = [], 0
    for match in _SENTENCE_END.finditer(text):
        head = text[begin : match.end()].rstrip()
        if match[1].islower() or _ABBREVIATION.search(head):
            continue
        found.append((begin, head))
        begin = match.end()
    found.append((begin, text[begin:].rstrip()))
    return [(start + len(part) - len(part.lstrip()), part.strip()) for start, part in found if part.strip()]


@dataclass(frozen=True)
class Article:
    """An article; `lines[0]` is line 1, blank lines count, and every line is verbatim."""

    lines: tuple[str, ...]
    sha256: str

    @cached_property
    def sentences(self) -> tuple[Sentence, ...]:
        """All sentences in reading order; a row of stars is none."""
        return tuple(
            Sentence(number, start, text)
            for number, line in enumerate(self.lines, 1)
            for start, text in split_sentences(line)
            if re.search(r"\w", text)
        )

    def line(self, number: int) -> str:
        """The text of a line; "" for a number outside the article."""
        return self.lines[number - 1] if 1 <= number <= len(self.lines) else ""

    def sentences_with(self, line: int, quote: str, start: int | None = None) -> Sentence:
        """The shortest run of whole sentences on a line that holds `quote`, verbatim; the line where none does.

        `start` says where on the line the quote begins; without it, where it stands first.
        """
        text = self.line(line)
        at = text.find(quote) if start is None else start
        inside = [s for s in self.sentences if s.line == line]
        covering = [s for s in inside if s.start < at + len(quote) and s.start + len(s.text) > at]
        if at < 0 or not covering:
            return Sentence(line, len(text) - len(text.lstrip()), text.strip())
        first, last = covering[0], covering[-1]
        return Sentence(line, first.start, text[first.start : last.start + len(last.text)])


class _Paragraphs(HTMLParser):
    """Collects the text of headings, paragraphs, list items, quotations and captions, one a line.

    Text that stands in none of these, in a `div`, counts where it ends as a sentence does: labels of a page do not.
    """

    _BLOCKS = frozenset("h1 h2 h3 h4 h5 h6 p li blockquote figcaption td dd pre".split())
    _AROUND = frozenset("div section article main body".split())
    _SKIPPED = frozenset("script style nav header footer aside form noscript title button".split())

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.paragraphs: list[str] = []
        self._text: list[str] = []
        self._open: list[str] = []
        self._skipping: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the parser's signature
        if tag in self._SKIPPED:
            self._skipping.append(tag)
        elif tag in self._BLOCKS:
            self._flush()
            self._leave(self._open, tag if self._open[-1:] == [tag] else "")  # a paragraph may lack its end
            self._open.append(tag)
        elif tag in self._AROUND:
            self._flush()
        elif tag == "br":
            self._text.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._SKIPPED:
            self._leave(self._skipping, tag)
        elif tag in self._BLOCKS or tag in self._AROUND:
            self._flush()
            self._leave(self._open, tag)

    def handle_data(self, data: str) -> None:
        headline = self._skipping == ["header"] and self._open[-1:] == ["h1"]
        if headline or not self._skipping:
            self._text.append(data)

    def close(self) -> None:
        super().close()
        self._flush()

    @staticmethod
    def _leave(tags: list[str], tag: str) -> None:
        if tag in tags:
            del tags[len(tags) - 1 - tags[::-1].index(tag) :]

    def _flush(self) -> None:
        text = " ".join("".join(self._text).split())
        if text and (self._open or _CLOSED.search(text)):
            self.paragraphs.append(text)
        self._text = []


def _text_of_html(source: str) -> str:
    parser = _Paragraphs()
    parser.feed(source)
    parser.close()
    return "\n\n".join(parser.paragraphs)


def read_article(path: Path) -> Article:
    """Read `.txt` (byte for byte) or `.html` (its paragraphs, one a line, blank lines between).

    Raises StoryError where the file cannot be read, is not UTF-8, is too large, or holds no words.
    """
    try:
        size = path.stat().st_size
        if size > MAX_ARTICLE_BYTES:
            raise StoryError(f"{path} has {size} bytes: give an article of at most {MAX_ARTICLE_BYTES} bytes.")
        raw = path.read_bytes()
    except OSError as error:
        raise StoryError(f"{path} cannot be read ({error.strerror}): give the path of an article.") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StoryError(f"{path} is not UTF-8 text: save it as UTF-8 and try again.") from error
    if path.suffix.lower() in {".html", ".htm"}:
        text = _text_of_html(text)
    lines = tuple(line.rstrip("\r") for line in text.rstrip("\n").split("\n"))
    if not any(re.search(r"\w", line) for line in lines):
        raise StoryError(f"{path} holds no words: give an article with text.")
    return Article(lines, hashlib.sha256(raw).hexdigest())
