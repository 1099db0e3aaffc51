"""The rules that a fact table keeps, each broken one told in plain words with its file and row."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.story.article import Article
from bot.story.table import ANSWER_TYPES, STATUSES

# A reply shows the answer, the source sentence and a heading in one message of at most 2,000 characters; a question
# stands in autocomplete (100) and on buttons (80, cut with an ellipsis there).
MAX_ANSWER = 300
MAX_QUESTION = 100
MAX_SAYS = 300
MAX_ID = 60  # a button's custom_id holds at most 100 characters: story, fact and kind
MAX_TITLE = 200

_STORY_KEYS = {"title": str, "article": str, "sha256": str}
_STORY_EXTRAS = {"date": str, "source": str, "reviewed": str}
_FACT_KEYS = {"id": str, "asks": str, "answer": str, "line": int, "quote": str, "questions": list}
_GAP_KEYS = {"id": str, "questions": list, "says": str}
_KIND = {str: "text, in quotes", int: "a whole number", list: "a list of texts"}

_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_TOKEN = re.compile(r"\d+(?:[.,:]\d+)*|\w+(?:[-’'.]\w+)*")
# Words that may open an answer with a capital without being a name.
_OPENERS = frozenset(
    "yes no not the a an it its they he she his her their in on at by as to of for from with because after before "
    "and or but so that this these those both all some one two three four five six seven eight nine ten only "
    "about as-of according there when where while if under over more most many first several none nothing "
    "nobody".split()
)
# "one" and "two" also open what an editor counts: "Two: Kim and Putin".
_NUMBERS = frozenset(
    "three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion dozen".split()
)


@dataclass(frozen=True)
class Fault:
    """One broken rule: `file`, the `row` it stands in, and what is wrong and what to do."""

    file: str
    row: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.row}: {self.message}"


def fold(text: str) -> str:
    """Text with straight quotes and single blanks, in lower case: how two texts are compared."""
    return " ".join(text.replace("’", "'").replace("‘", "'").replace("“", '"').replace("”", '"').casefold().split())


def question_key(question: str) -> str:
    """What two questions share that would be one to a reader."""
    return fold(question).rstrip("?!. ")


def lint(file: str, document: Mapping[str, Any], article: Article) -> list[Fault]:
    """Every broken rule of a raw table against its article; an empty list where it may be loaded."""
    return list(_Lint(file, document, article).faults())


class _Lint:
    def __init__(self, file: str, document: Mapping[str, Any], article: Article) -> None:
        self._file, self._document, self._article = file, document, article
        self._ids: dict[str, str] = {}
        self._questions: dict[str, str] = {}

    def faults(self) -> Iterator[Fault]:
        for key in self._document:
            if key not in ("story", "names", "fact", "gap"):
                yield Fault(self._file, key, "is not a section of a fact table: use story, names, fact or gap.")
        yield from self._story()
        yield from self._names()
        yield from self._rows("fact", _FACT_KEYS, {"status": str}, self._fact)
        yield from self._rows("gap", _GAP_KEYS, {"line": int}, self._gap)
        if not self._document.get("fact"):
            yield Fault(self._file, "fact", "the table has no [[fact]]: write at least one.")

    def _keys(
        self, row: str, raw: Mapping[str, Any], required: Mapping[str, type], optional: Mapping[str, type]
    ) -> Iterator[Fault]:
        """What is wrong with the values of known keys; a row without such a fault can be read."""
        for key, kind in {**required, **optional}.items():
            if key not in raw:
                if key in required:
                    yield Fault(self._file, row, f"{key} is missing: add it.")
            elif not isinstance(raw[key], kind) or isinstance(raw[key], bool):
                yield Fault(self._file, row, f"{key} must be {_KIND[kind]}.")
            elif kind is str and not raw[key].strip():
                yield Fault(self._file, row, f"{key} is empty: fill it in.")
            elif kind is list and not (raw[key] and all(isinstance(v, str) and v.strip() for v in raw[key])):
                yield Fault(self._file, row, f"{key} must be a list of at least one text, none of them empty.")

    def _strange(self, row: str, raw: Mapping[str, Any], known: Container[str]) -> Iterator[Fault]:
        for key in raw:
            if key not in known:
                yield Fault(self._file, row, f"{key} is not a key of this row: remove it or mend its spelling.")

    def _story(self) -> Iterator[Fault]:
        story = self._document.get("story")
        if not isinstance(story, dict):
            yield Fault(self._file, "story", "the [story] section is missing: add title, article and sha256.")
            return
        yield from self._strange("story", story, {**_STORY_KEYS, **_STORY_EXTRAS})
        yield from self._keys("story", story, _STORY_KEYS, _STORY_EXTRAS)
        for key in ("title", *_STORY_EXTRAS):
            if isinstance(story.get(key), str) and len(story[key]) > MAX_TITLE:
                yield Fault(self._file, "story", f"{key} is longer than {MAX_TITLE} characters: shorten it.")
        digest = story.get("sha256")
        if isinstance(digest, str) and digest.strip() and digest != self._article.sha256:
            yield Fault(
                self._file,
                "story",
                f"sha256 is not the article's ({self._article.sha256}): the article changed after the table was "
                "built; run `build` on the article and review the rows that it names.",
            )

    def _names(self) -> Iterator[Fault]:
        names = self._document.get("names", {})
        if not isinstance(names, dict):
            yield Fault(self._file, "names", 'must be a section of lines like "Name" = ["other word"].')
            return
        text, taken = fold("\n".join(self._article.lines)), dict[str, str]()
        for name, others in names.items():
            row = f"names {name!r}"
            if fold(name) not in text:
                yield Fault(self._file, row, "the article does not hold this name: write it as the article does.")
            if not isinstance(others, list) or not all(isinstance(other, str) and other.strip() for other in others):
                yield Fault(self._file, row, "must be a list of texts, none of them empty.")
                continue
            for other in others:
                if taken.setdefault(fold(other), name) != name:
                    yield Fault(self._file, row, f"{other!r} also stands for {taken[fold(other)]!r}: keep one.")

    def _rows(
        self,
        section: str,
        required: Mapping[str, type],
        optional: Mapping[str, type],
        rules: Callable[[str, Mapping[str, Any]], Iterator[Fault]],
    ) -> Iterator[Fault]:
        rows = self._document.get(section, [])
        if not isinstance(rows, list) or not all(isinstance(raw, dict) for raw in rows):
            yield Fault(self._file, section, f"must be written as [[{section}]] rows.")
            return
        for number, raw in enumerate(rows, 1):
            label = raw.get("id") if isinstance(raw.get("id"), str) and raw.get("id") else f"number {number}"
            row = f"{section} {label}"
            yield from self._strange(row, raw, {**required, **optional})
            faults = list(self._keys(row, raw, required, optional))
            yield from faults
            yield from self._id(row, raw.get("id"))
            yield from self._questions_of(row, raw.get("questions"))
            if not faults:
                yield from rules(row, raw)

    def _id(self, row: str, value: object) -> Iterator[Fault]:
        if not isinstance(value, str) or not value:
            return
        if not _ID.fullmatch(value) or len(value) > MAX_ID:
            yield Fault(
                self._file, row, f"id must be small letters, digits and single hyphens, at most {MAX_ID} characters."
            )
        if value in self._ids:
            yield Fault(self._file, row, f"the id stands twice (also {self._ids[value]}): give one another id.")
        self._ids.setdefault(value, row)

    def _questions_of(self, row: str, questions: object) -> Iterator[Fault]:
        if not isinstance(questions, list):
            return
        for question in questions:
            if not isinstance(question, str):
                continue
            if len(question) > MAX_QUESTION:
                yield Fault(
                    self._file, row, f"the question {question[:40]!r}… is longer than {MAX_QUESTION} characters."
                )
            key = question_key(question)
            if key in self._questions:
                yield Fault(
                    self._file, row, f"the question {question!r} also stands in {self._questions[key]}: keep one."
                )
            self._questions.setdefault(key, row)

    def _line(self, row: str, number: int) -> Iterator[Fault]:
        if not 1 <= number <= len(self._article.lines):
            yield Fault(self._file, row, f"line {number} is not in the article: it has {len(self._article.lines)}.")
        elif not re.search(r"\w", self._article.line(number)):
            yield Fault(self._file, row, f"line {number} of the article has no words: name the line that says it.")

    def _fact(self, row: str, raw: Mapping[str, Any]) -> Iterator[Fault]:
        faults = list(self._line(row, raw["line"]))
        yield from faults
        line = self._article.line(raw["line"])
        if not faults and raw["quote"] not in line:
            yield Fault(self._file, row, f"the quote is not verbatim on line {raw['line']}: copy it from there.")
        if len(raw["answer"]) > MAX_ANSWER:
            yield Fault(self._file, row, f"the answer is longer than {MAX_ANSWER} characters: shorten it.")
        if not faults:
            for word in self._unsupported(raw["answer"], line):
                yield Fault(
                    self._file, row, f"{word!r} of the answer does not stand on line {raw['line']}: answer from it."
                )
        if raw["asks"] not in ANSWER_TYPES:
            yield Fault(self._file, row, f"asks is {raw['asks']!r}: use one of {', '.join(ANSWER_TYPES)}.")
        if raw.get("status", "draft") not in STATUSES:
            yield Fault(self._file, row, f"status is {raw['status']!r}: use reviewed or draft.")

    def _gap(self, row: str, raw: Mapping[str, Any]) -> Iterator[Fault]:
        if "line" in raw:
            yield from self._line(row, raw["line"])
        if len(raw["says"]) > MAX_SAYS:
            yield Fault(self._file, row, f"says is longer than {MAX_SAYS} characters: shorten it.")

    def _unsupported(self, answer: str, line: str) -> list[str]:
        """The numbers, dates and names of an answer that neither the line nor an alias of a name on it holds."""
        names = self._document.get("names", {})
        held = fold(line)
        if isinstance(names, dict):
            for name, others in names.items():
                if isinstance(others, list) and fold(name) in fold(line):
                    held += " " + " ".join(fold(str(other)) for other in others)
        words = set(_TOKEN.findall(held))
        words |= {part for word in words for part in re.split(r"[-’'.]", word)}
        missing = []
        for match in _TOKEN.finditer(answer):
            word = match.group()
            counts = word[0].isdigit() or fold(word) in _NUMBERS
            checked = counts or (word[0].isupper() and fold(word) not in _OPENERS)
            bare = re.sub(r"'s$", "", fold(word))
            if checked and bare not in words and not all(part in words for part in re.split(r"[-']", bare)):
                missing.append(word)
        return missing
