"""Turn rows (readers' messages about articles) and public question-answer pairs into training examples.

An example is one (message, passage) pair with a class and, unless the passage is silent, the character span of the
answer in the passage.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import cast

import torch
from tokenizers import Tokenizer

from bot.answering.asks import asked
from bot.answering.conversation import answered, last_words, leans_on_before
from bot.answering.interaction import STOP_WEIGHT, is_filler
from bot.answering.text import BEHIND, behind
from bot.story.table import AnswerType, Fact, Gap

ANSWERS, CONTRADICTS, SILENT = 0, 1, 2
SAME_FACT_SHARED = 0.5  # F1 of the words: "on April 28" and "April 28" are one answer
HELD_OUT_SHARE = 3  # one article in three never enters training, chosen by a hash of its name


@dataclass(frozen=True)
class Row:
    """A reader's message about an article; `line` counts from 1, 0 where the article has no line for it.

    `fact` names the fact or known gap of a written table that it asks for: two facts may share words of a line.
    """

    story: str
    message: str
    kind: str
    line: int
    span: str
    fact: str = ""


@dataclass(frozen=True)
class Example:
    """A pair to learn from; `start` and `end` are character offsets in `passage` (-1 where it is silent)."""

    message: str
    passage: str
    label: int
    start: int = -1
    end: int = -1


def is_held_out(story: str) -> bool:
    """Whether a story belongs to the evaluation third; the same answer on every machine."""
    return int(hashlib.sha256(story.encode()).hexdigest()[:8], 16) % HELD_OUT_SHARE == 0


def read_json_rows(path: Path) -> list[Row]:
    """Rows of one story from JSON Lines with `message`, `kind`, `lines` and `span`."""
    rows = []
    for text in path.read_text("utf8").splitlines():
        raw = json.loads(text)
        line = raw["lines"][0] if raw["lines"] else 0
        rows.append(Row(path.stem, raw["message"], raw["kind"], line, raw.get("span") or ""))
    return rows


def piped_row(story: str, text: str) -> Row | None:
    """The row of a line `kind|style|line|span|message`; None for any other line."""
    fields = [field.strip() for field in text.split("|")]
    if len(fields) != 5:
        return None
    kind, _, line, span, message = fields
    return Row(story, message, kind, int(line or 0), span)


def read_piped_rows(path: Path) -> list[Row]:
    """Rows of one story, one a line; a follow-up stands behind ` >> `."""
    rows = (piped_row(path.stem, text) for text in path.read_text("utf8").splitlines())
    return [row for row in rows if row]


def read_talks(path: Path) -> list[list[Row]]:
    """Conversations about one story: rows one a line, a blank line behind each conversation."""
    blocks = (block.splitlines() for block in path.read_text("utf8").split("\n\n"))
    talks = ([row for row in (piped_row(path.stem, text) for text in block) if row] for block in blocks)
    return [talk for talk in talks if talk]


def read_talk_rows(path: Path) -> list[Row]:
    """The messages of conversations, each behind what the bot takes it to lean on."""
    rows = []
    for talk in read_talks(path):
        asked = ""
        for row in talk:
            leans = bool(asked) and leans_on_before(row.message)
            asked = behind(last_words(asked), row.message) if leans else row.message
            rows.append(replace(row, message=asked))
            asked = answered(asked, row.span) if row.kind == "answerable" else asked
    return rows


WRONG_PREMISE = "! "  # before a question of a written table that its fact puts right


def read_table(path: Path) -> tuple[list[Fact], list[Gap]]:
    """Facts and gaps of a written table's file."""
    return table_of(path.read_text("utf8").splitlines())


def table_of(lines: Iterable[str]) -> tuple[list[Fact], list[Gap]]:
    """Facts and gaps of a written table: `= line | kind | answer` or `- what to say`, each with its questions below."""
    heads: list[tuple[str, list[str]]] = []
    for text in filter(None, map(str.strip, lines)):
        if text[:2] in ("= ", "- "):
            heads.append((text, []))
        elif not text.startswith("#"):
            heads[-1][1].append(text.removeprefix(WRONG_PREMISE))
    facts, gaps = [], []
    for number, (head, questions) in enumerate(heads):
        if head.startswith("- "):
            gaps.append(Gap(f"gap-{number}", tuple(questions), head[2:]))
        else:
            line, kind, answer = (field.strip() for field in head[2:].split("|", 2))
            asks = cast("AnswerType", kind)
            facts.append(Fact(f"fact-{number}", asks, answer, int(line), answer, tuple(questions), "reviewed"))
    return facts, gaps


def read_table_rows(path: Path) -> list[Row]:
    """The questions of a written table as rows."""
    lines = path.read_text("utf8").splitlines()
    facts, gaps = table_of(lines)
    wrong = {text.strip() for text in lines if text.startswith(WRONG_PREMISE)}
    rows = [Row(path.stem, q, "unanswerable", 0, "", gap.id) for gap in gaps for q in gap.questions]
    for fact in facts:
        for question in fact.questions:
            kind = "false_premise" if f"{WRONG_PREMISE}{question}" in wrong else "answerable"
            rows.append(Row(path.stem, question, kind, fact.line, fact.answer, fact.id))
    return rows


def with_typos(message: str, rng: random.Random) -> str:
    """The message with one or two typing slips (a letter swapped, dropped or doubled) in its longer words."""
    words = message.split(" ")
    long_words = [i for i, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    for i in rng.sample(long_words, min(len(long_words), rng.choice((1, 1, 2)))):
        word, at = words[i], rng.randrange(1, len(words[i]) - 1)
        slips = (
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
        )
        words[i] = rng.choice(slips)
    return " ".join(words)


def roughened(message: str, rng: random.Random) -> str:
    """The message as a phone would send it, now and then: no capitals, no closing mark, a slip."""
    if rng.random() < 0.25:
        message = message.lower()
    if rng.random() < 0.25:
        message = message.rstrip("?.!")
    if rng.random() < 0.12:
        message = with_typos(message, rng)
    return message


# How readers ask on by a word or two. Each is filled in by the question before it and by the kind that it names.
BARE: dict[str, tuple[str, ...]] = {
    "when": ("when?", "and when?", "when was that?", "when exactly", "ok when"),
    "where": ("where?", "and where?", "where was that?", "where exactly", "but where"),
    "why": ("why?", "and why?", "why is that?", "how come", "but why tho"),
    "how-many": ("how many?", "and how many?", "how many exactly", "like how many"),
}
FOLLOW_UPS = 0.5  # of the rows that can be asked as a follow-up
CHAINS = 0.3  # of those that can stand behind another follow-up


def bare_kind(row: Row) -> str:
    """The kind of answer that a row asks for where a bare follow-up could ask for it, else nothing."""
    kind = asked(row.message) if row.kind == "answerable" and row.span and BEHIND not in row.message else None
    counted = kind != "how-many" or "how many" in row.message.lower()
    return kind if kind in BARE and counted else ""


def with_follow_ups(rows: Sequence[Row], rng: random.Random) -> list[Row]:
    """The rows, some of them asked behind another question about their line: "Who signed it? >> and when?".

    Only where no row has other words of the line answer that kind of question.
    """
    on_line: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        if row.kind == "answerable" and row.span:
            on_line[row.line].append(row)
    kinds = {id(row): bare_kind(row) for found in on_line.values() for row in found}

    def only_one(row: Row) -> bool:
        kind = kinds.get(id(row))
        return bool(kind) and all(same_fact(row, o) for o in on_line[row.line] if o is not row and kinds[id(o)] == kind)

    def asked_behind(row: Row, depth: int) -> Row:
        others = [o for o in on_line[row.line] if not same_fact(row, o) and BEHIND not in o.message]
        if not others:
            return row
        earlier = rng.choice(others)
        if depth and only_one(earlier) and rng.random() < CHAINS:
            earlier = asked_behind(earlier, depth - 1)
        bare = rng.choice(BARE[kinds[id(row)]])
        return replace(row, message=behind(answered(earlier.message, earlier.span), bare))

    return [asked_behind(row, 1) if rng.random() < FOLLOW_UPS and only_one(row) else row for row in rows]


def same_fact(one: Row, other: Row) -> bool:
    """Whether two rows are answered by the same fact, or else by the same words of the same line."""
    if one.fact and other.fact:
        return one.fact == other.fact
    if one.line != other.line or not one.span or not other.span:
        return False
    left, right = set(one.span.lower().split()), set(other.span.lower().split())
    return 2 * len(left & right) / (len(left) + len(right)) >= SAME_FACT_SHARED


@dataclass(frozen=True)
class Story:
    """An article as it is trained on: its lines that hold words with their `numbers` (from 1), and rows about it.

    `extra` are pairs that belong to it and are no rows.
    """

    name: str
    lines: tuple[str, ...]
    numbers: tuple[int, ...]
    rows: tuple[Row, ...]
    extra: tuple[Example, ...] = ()

    @classmethod
    def of(cls, article: Path, rows: Iterable[Row]) -> Story:
        """The story of an article's file."""
        held = [(n, text) for n, text in enumerate(article.read_text("utf8").split("\n"), 1) if text.strip()]
        return cls(article.stem, tuple(text for _, text in held), tuple(n for n, _ in held), tuple(rows))

    def weights(self, tokenizer: Tokenizer) -> torch.Tensor:
        """Inverse document frequency of all tokens over the story's lines; stop words and marks count little."""
        counts: Counter[int] = Counter()
        for encoding in tokenizer.encode_batch(list(self.lines)):
            counts.update(set(encoding.ids))
        weights = torch.full((tokenizer.get_vocab_size(),), math.log(1 + len(self.lines)))
        for token, count in counts.items():
            weights[token] = math.log(1 + len(self.lines) / (1 + count))
        weights[fillers(tokenizer)] = STOP_WEIGHT
        return weights


@cache
def fillers(tokenizer: Tokenizer) -> list[int]:
    """The tokens that tell no text from another."""
    return [token for piece, token in tokenizer.get_vocab().items() if is_filler(piece)]


def article_of(path: Path, data: Path) -> Path:
    """The article that a file of rows is about: one beside it or in a folder beside that, else of the benchmark."""
    return next(path.parent.parent.glob(f"*/{path.stem}.txt"), data / "stories" / f"{path.stem}.txt")


READERS: dict[str, Callable[[Path], list[Row]]] = {
    ".rows": read_piped_rows, ".facts": read_table_rows, ".talks": read_talk_rows,
}  # fmt: skip


def training_stories(data: Path, own: list[Path]) -> list[Story]:
    """Every story that is not held out, with all its rows."""
    rows: dict[Path, list[Row]] = defaultdict(list)
    for folder in ("rows", "rows2"):
        for path in sorted((data / folder).glob("*.jsonl")):
            rows[data / "stories" / f"{path.stem}.txt"] += read_json_rows(path)
    for folder in own:
        for path in sorted(path for suffix in READERS for path in folder.glob(f"*{suffix}")):
            rows[article_of(path, data)] += READERS[path.suffix](path)
    ours = {article for article in rows if article.parent != data / "stories"}
    return [
        Story.of(article, found) for article, found in rows.items() if article in ours or not is_held_out(article.stem)
    ]


def held_out_names(data: Path) -> list[str]:
    """The names of the stories that never enter training."""
    return sorted(path.stem for path in (data / "stories").glob("*.txt") if is_held_out(path.stem))


def rows_of(data: Path, name: str) -> list[Row]:
    """Every row of a story, of both writers."""
    return [row for folder in ("rows", "rows2") for row in read_json_rows(data / folder / f"{name}.jsonl")]


def held_out_stories(data: Path) -> list[Story]:
    """The stories that never enter training, with all their rows."""
    return [Story.of(data / "stories" / f"{name}.txt", rows_of(data, name)) for name in held_out_names(data)]


SENTENCES = 24  # of one or two documents, in a story made of them


def qamr_stories(folder: Path, questions: int, seed: int) -> list[Story]:
    """Stories of sentences from Wikipedia and Wikinews with the questions of Question-Answer Meaning Representations.

    Michael et al., NAACL 2018. A question whose answer is cut out of its sentence is a silent pair.
    """
    rng = random.Random(seed)
    sentences = dict(line.split("\t", 1) for line in (folder / "wiki-sentences.tsv").read_text("utf8").splitlines())
    asked: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    for name in ("dev.tsv", "test.tsv"):
        for line in (folder / name).read_text("utf8").splitlines():
            fields = line.split("\t")
            key, question, answer = fields[0], fields[5], [int(i) for i in fields[6].split()]
            if key in sentences and answer:
                asked[key].setdefault(question, (min(answer), max(answer) + 1))
    keys = sorted(asked)  # documents stand together: their other sentences are what is hard to tell apart
    share = questions / sum(map(len, asked.values()))
    stories = []
    for at in range(0, len(keys), SENTENCES):
        group = keys[at : at + SENTENCES]
        rows, extra = [], []
        for number, key in enumerate(group, 1):
            words = sentences[key].split(" ")
            for question, (first, last) in asked[key].items():
                if rng.random() >= share:
                    continue
                rows.append(Row(f"qamr-{at}", question, "answerable", number, " ".join(words[first:last])))
                if rng.random() < 0.3:
                    extra.append(Example(question, " ".join(words[:first] + words[last:]), SILENT))
        lines = tuple(sentences[key] for key in group)
        stories.append(Story(f"qamr-{at}", lines, tuple(range(1, len(lines) + 1)), tuple(rows), tuple(extra)))
    return [story for story in stories if story.rows]
