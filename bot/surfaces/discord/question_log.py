"""The host's optional log of questions: what readers ask, for editors. Never who asked; off by default."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from threading import Lock

from bot.answering.reply import Answer, Reply
from bot.surfaces.discord.metrics import KINDS

KEPT_DAYS = 30


class QuestionLog:
    """One JSON object a line: the day, the story, the kind of reply, the fact, the question. Expires by itself."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pruned: date | None = None
        self._writing = Lock()  # one thread at a time: a row added while old ones leave would leave with them

    def add(self, today: date, story: str, question: str, reply: Reply) -> None:
        """Append a question. Raises OSError."""
        row = {
            "day": today.isoformat(), "story": story, "kind": KINDS[type(reply)],
            "fact": reply.fact if isinstance(reply, Answer) else None, "question": question,
        }  # fmt: skip
        with self._writing:
            self._prune(today)
            self._append(row)

    def prune(self, today: date) -> None:
        """Remove what is too old, once a day. Raises OSError."""
        with self._writing:
            self._prune(today)

    def _append(self, row: Mapping[str, str | None]) -> None:
        with self._path.open("a", encoding="utf-8", errors="replace") as file:  # a reader can send half a character
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def _prune(self, today: date) -> None:
        if self._pruned == today:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            oldest = (today - timedelta(days=KEPT_DAYS)).isoformat()
            with self._path.open(encoding="utf-8", errors="replace") as file:
                kept = [line for line in file if _day(line) >= oldest]
            fresh = self._path.with_name(self._path.name + ".new")
            fresh.write_text("".join(kept), "utf-8")
            fresh.replace(self._path)
        self._pruned = today


def _day(line: str) -> str:
    try:
        return str(json.loads(line)["day"])
    except (ValueError, KeyError, TypeError):
        return ""
