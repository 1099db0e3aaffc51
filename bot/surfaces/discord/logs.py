"""Log lines for people or for machines; never a word that a reader wrote."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from types import TracebackType

import discord

from bot.surfaces.discord.failing import is_over

Excinfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def safe_traceback(error: BaseException) -> str:
    """An exception's frames and its type, without its message: that may quote what a reader wrote."""
    parts = []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        parts.append(f"{safe_traceback(cause)}\n")
    parts += [
        f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    return "\n".join([*parts, f"{type(error).__module__}.{type(error).__qualname__}{_detail(error)}"])


def _detail(error: BaseException) -> str:
    if isinstance(error, discord.HTTPException):
        return f" (status {error.status}, code {error.code})"
    if isinstance(error, OSError) and error.strerror:
        return f" ({error.strerror})"
    return ""


class PlainFormatter(logging.Formatter):
    """A line a record, for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatException(self, ei: Excinfo) -> str:  # noqa: N802 - logging's own name
        """Frames and type only."""
        return safe_traceback(ei[1]) if ei[1] else ""


class JsonFormatter(PlainFormatter):
    """An object a line, for machines."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one JSON object."""
        row = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            row["traceback"] = self.formatException(record.exc_info)
        return json.dumps(row, ensure_ascii=False)


def is_news(record: logging.LogRecord) -> bool:
    """Whether a record is worth a line; that a reader typed on before the choices came is not, with a traceback."""
    return not (record.exc_info and is_over(record.exc_info[1]))


def set_up(kind: str, level: str) -> None:
    """Log to standard error. discord.py's own debug lines hold whole messages, so they are never shown."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if kind == "json" else PlainFormatter())
    handler.addFilter(is_news)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for library in ("discord", "aiohttp", "asyncio", "asyncpg"):
        logging.getLogger(library).setLevel(max(logging.INFO, root.level))
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
