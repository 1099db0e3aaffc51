"""Turn rows (readers' messages about articles) and public question-answer pairs into training examples.

An example is one (message, passage) pair with a class and, unless the passage is silent, the character span of the
answer in the passage.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from bot.story.table import AnswerType, Fact, Gap

ANSWERS, CONTRADICTS, SILENT = 0, 1, 2
SAME_FACT_SHARED = 0.5  # F1 of the words: "on April 28" and "April 28" are one answer
HELD_OUT_SHARE = 3  # one article in three never enters training, chosen by a hash of its name


@dataclass(frozen=True)
class Row:
    """A reader's message about an article; `line` counts from 1, 0 where the article has no line for it.

    `fact` names the fact of a written table that it asks for: two facts may share words of a line.
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


def read_piped_rows(path: Path) -> list[Row]:
    """Rows of one story from lines `kind|style|line|span|message`; a follow-up stands behind ` >> `."""
    rows = []
    for text in path.read_text("utf8").splitlines():
        fields = [field.strip() for field in text.split("|")]
        if len(fields) != 5:
            continue
        kind, _, line, span, message = fields
        rows.append(Row(path.stem, message.replace(" >> ", " "), kind, int(line or 0), span))
    return rows


def read_table(path: Path) -> tuple[list[Fact], list[Gap]]:
    """Facts and gaps of a written table: `= line | kind | answer` or `- what to say`, each with its questions below."""
    heads: list[tuple[str, list[str]]] = []
    for text in filter(None, map(str.strip, path.read_text("utf8").splitlines())):
        if text[:2] in ("= ", "- "):
            heads.append((text, []))
        elif not text.startswith("#"):
            heads[-1][1].append(text)
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
    facts, gaps = read_table(path)
    asked = [Row(path.stem, q, "answerable", fact.line, fact.answer, fact.id) for fact in facts for q in fact.questions]
    return asked + [Row(path.stem, q, "unanswerable", 0, "") for gap in gaps for q in gap.questions]


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


def row_examples(row: Row, lines: list[str], ranked: list[int], negatives: int) -> list[Example]:
    """The pairs that one row yields: the passage with the span, and the closest passages without an answer.

    `ranked` are indices (from 0) into `lines`, closest first.
    """
    examples = []
    if row.kind in ("answerable", "false_premise"):
        passage = lines[row.line - 1]
        start = passage.find(row.span)
        if start >= 0 and row.span:
            label = ANSWERS if row.kind == "answerable" else CONTRADICTS
            examples.append(Example(row.message, passage, label, start, start + len(row.span)))
    others = [i for i in ranked if i != row.line - 1 and not (row.span and row.span in lines[i])]
    wanted = negatives if row.kind == "answerable" else 1 if row.kind == "off_topic" else negatives + 1
    if row.kind == "false_premise":
        wanted = 1
    examples += [Example(row.message, lines[i], SILENT) for i in others[:wanted]]
    return examples


def told(question: str, answer: str) -> str:
    """A fact as a passage: a question it answers, then its answer. The bot reads facts in this form."""
    return f"{question} {answer}"


def same_fact(one: Row, other: Row) -> bool:
    """Whether two rows are answered by the same fact, or else by the same words of the same line."""
    if one.fact and other.fact:
        return one.fact == other.fact
    if one.line != other.line or not one.span or not other.span:
        return False
    left, right = set(one.span.lower().split()), set(other.span.lower().split())
    return 2 * len(left & right) / (len(left) + len(right)) >= SAME_FACT_SHARED


def fact_examples(row: Row, others: list[Row], negatives: int) -> list[Example]:
    """The pairs of a row with facts made of the story's other answerable rows; `others` stand closest first."""
    examples = []
    same = [other for other in others if same_fact(row, other)]
    label = ANSWERS if row.kind == "answerable" else CONTRADICTS
    # One close phrasing and one far: the far ones are what late interaction alone does not find.
    for other in {same[0], same[-1]} if same and row.kind in ("answerable", "false_premise") else ():
        passage = told(other.message, other.span)
        examples.append(Example(row.message, passage, label, len(passage) - len(other.span), len(passage)))
    apart = [
        o for o in others if not same_fact(row, o) and not (row.span and row.line == o.line and row.span in o.span)
    ]
    wanted = negatives if examples else negatives - 1 if row.kind == "unanswerable" else 1
    examples += [Example(row.message, told(o.message, o.span), SILENT) for o in apart[: max(1, wanted)]]
    return examples


def qamr_examples(folder: Path, positives: int, seed: int) -> list[Example]:
    """Pairs from Question-Answer Meaning Representations (Michael et al., NAACL 2018), sentences of Wikipedia/news.

    Silent pairs are made in two ways: the answer cut out of its sentence, and a sentence that shares words.
    """
    rng = random.Random(seed)
    sentences = dict(line.split("\t", 1) for line in (folder / "wiki-sentences.tsv").read_text("utf8").splitlines())
    tokens = {key: text.split(" ") for key, text in sentences.items()}
    by_word: dict[str, list[str]] = defaultdict(list)
    for key, words in tokens.items():
        for word in set(words):
            if len(word) > 5:
                by_word[word.lower()].append(key)
    seen: set[tuple[str, str]] = set()
    found = []
    for name in ("dev.tsv", "test.tsv"):
        for line in (folder / name).read_text("utf8").splitlines():
            fields = line.split("\t")
            key, question, answer = fields[0], fields[5], [int(i) for i in fields[6].split()]
            if key in tokens and answer and (key, question) not in seen:
                seen.add((key, question))
                found.append((key, question, min(answer), max(answer) + 1))
    rng.shuffle(found)
    examples = []
    for key, question, first, last in found[:positives]:
        words = tokens[key]
        passage = " ".join(words)
        start = len(" ".join(words[:first])) + (1 if first else 0)
        end = len(" ".join(words[:last]))
        message = roughened(question, rng)
        examples.append(Example(message, passage, ANSWERS, start, end))
        draw = rng.random()
        if draw < 0.25:
            examples.append(Example(message, " ".join(words[:first] + words[last:]), SILENT))
        elif draw < 0.65:
            shared = [k for w in re.findall(r"\w+", question.lower()) for k in by_word.get(w, [])[:20] if k != key]
            if shared:
                examples.append(Example(message, " ".join(tokens[rng.choice(shared)]), SILENT))
    rng.shuffle(examples)
    return examples
