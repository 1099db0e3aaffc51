"""Write a drafted table to disk, or bring an existing one up to date without touching what an editor wrote."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import tomlkit
from tomlkit.items import AoT, Table

from bot.errors import UsageError
from bot.story.article import ARTICLE_SUFFIXES, Article, read_article
from bot.story.draft import draft_facts, draft_table, unused
from bot.story.table import Fact

READABLE = 0o644  # a temporary file is its owner's alone; the bot may run as somebody else
_HEADER = "Drafted from the article; read every row, mend it, and set its status to reviewed."


@dataclass(frozen=True)
class BuildReport:
    """What a build did: ids of the rows added, rows whose line moved, and rows whose quote is gone.

    `uncertain` are known gaps that name a line of an article that has changed: nothing tells where that line is now.
    """

    path: Path
    added: tuple[str, ...]
    moved: tuple[str, ...]
    lost: tuple[str, ...]
    uncertain: tuple[str, ...]


def _fact_row(fact: Fact) -> Table:
    row = tomlkit.table()
    for key in ("id", "asks", "answer", "line", "quote"):
        row.add(key, getattr(fact, key))
    row.add("questions", list(fact.questions))
    row.add("status", fact.status)
    return row


def _new_document(article: Article, file: str) -> tomlkit.TOMLDocument:
    table = draft_table(article, file)
    document = tomlkit.document()
    document.add(tomlkit.comment(_HEADER))
    story = tomlkit.table()
    story.add("title", table.title)
    story.add("article", table.article)
    story.add("sha256", table.sha256)
    document.add("story", story)
    return document


def _replace(path: Path, text: str) -> None:
    """Write a file in one step, so that a reader never sees half of it and a full disk loses nothing."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", text=True)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(name).chmod(path.stat().st_mode if path.exists() else READABLE)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _relocate(rows: AoT, article: Article) -> tuple[list[str], list[str]]:
    moved, lost = [], []
    for row in rows:
        quote, line = str(row.get("quote", "")), row.get("line")
        if isinstance(line, int) and quote and quote in article.line(line):
            continue
        found = [number for number, text in enumerate(article.lines, 1) if quote and quote in text]
        if found:
            row["line"] = found[0]
            moved.append(str(row.get("id", "")))
        else:
            lost.append(str(row.get("id", "")))
    return moved, lost


def build(article_path: Path, table_path: Path | None = None) -> BuildReport:
    """Draft the table of an article, or update the one at `table_path` (beside the article by default).

    An update sets the digest, follows quotes to their new lines, and appends drafts for sentences that no row quotes.
    Comments, order and every answer and question stay. Raises StoryError or UsageError, and then writes nothing.
    """
    if article_path.suffix.lower() not in ARTICLE_SUFFIXES:
        raise UsageError(f"{article_path} is no article: give a file that ends in {', '.join(ARTICLE_SUFFIXES)}.")
    article = read_article(article_path)
    target = table_path or article_path.with_suffix(".toml")
    try:
        existing = target.read_text("utf-8") if target.exists() else None
        document = tomlkit.parse(existing) if existing is not None else _new_document(article, article_path.name)
    except (tomlkit.exceptions.TOMLKitError, UnicodeDecodeError) as error:
        raise UsageError(f"{target} is not valid TOML ({error}): mend it, then build again.") from error
    rows = document.get("fact")
    if rows is None:
        rows = tomlkit.aot()
        document.add("fact", rows)
    if not isinstance(rows, AoT) or not isinstance(document.get("story"), Table):
        raise UsageError(f"{target} has no [story] section or [[fact]] rows: run `check` on it and mend it first.")
    moved, lost = _relocate(rows, article)
    quotes = [(row.get("line"), str(row.get("quote", ""))) for row in rows]
    known = {str(row.get("id", "")) for row in rows}
    added = []
    for fact in draft_facts(article):
        quoted = any(line == fact.line and (quote in fact.quote or fact.quote in quote) for line, quote in quotes)
        if not quoted:
            fact_id = unused(fact.id, known)
            known.add(fact_id)
            rows.append(_fact_row(replace(fact, id=fact_id)))
            added.append(fact_id)
    changed = document["story"].get("sha256") != article.sha256
    gaps = document.get("gap", []) if changed else []
    uncertain = tuple(str(gap.get("id", "")) for gap in gaps if "line" in gap)
    document["story"]["sha256"] = article.sha256
    try:
        _replace(target, tomlkit.dumps(document))
    except OSError as error:
        raise UsageError(f"{target} cannot be written ({error.strerror}): choose another place with -o.") from error
    return BuildReport(target, tuple(added), tuple(moved), tuple(lost), uncertain)
