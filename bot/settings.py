"""Settings, read once from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bot.errors import UsageError

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LOG_FORMATS = ("plain", "json")
_ON, _OFF = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}


def _text(env: Mapping[str, str], name: str) -> str:
    return env.get(name, "").strip()


def _token(env: Mapping[str, str]) -> str:
    path = _text(env, "DISCORD_TOKEN_FILE")
    token = _text(env, "DISCORD_TOKEN")
    if path and not token:
        try:
            token = Path(path).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"DISCORD_TOKEN_FILE names {path}, which cannot be read: give a readable file.") from error
    if not re.fullmatch(r"[!-~]*", token):  # no HTTP header could hold it
        raise UsageError(
            "The token in DISCORD_TOKEN or DISCORD_TOKEN_FILE holds a blank, a line break or a character that no token "
            "has: copy it again from the developer portal, page Bot, and nothing beside it."
        )
    return token


def _path(env: Mapping[str, str], name: str) -> Path | None:
    value = _text(env, name)
    return Path(value) if value else None


def _switch(env: Mapping[str, str], name: str) -> bool:
    value = _text(env, name).lower()
    if value not in _ON | _OFF:
        raise UsageError(f"{name} is {value!r}: set it to 1 or 0.")
    return value in _ON


def _number(env: Mapping[str, str], name: str, low: int, high: int) -> int | None:
    value = _text(env, name)
    if not value:
        return None
    if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
        raise UsageError(f"{name} is {value!r}: give a whole number from {low} to {high}.")
    return int(value)


def _choice(env: Mapping[str, str], name: str, choices: tuple[str, ...], otherwise: str) -> str:
    value = _text(env, name) or otherwise
    found = next((choice for choice in choices if choice.lower() == value.lower()), None)
    if found is None:
        raise UsageError(f"{name} is {value!r}: give one of {', '.join(choices)}.")
    return found


def _database(env: Mapping[str, str]) -> str:
    url = _text(env, "DATABASE_URL")
    if url and not url.startswith(("postgresql://", "postgres://")):
        raise UsageError("DATABASE_URL must begin with postgresql://; leave it out to keep the settings in SQLite.")
    return url


def _listed_shards(value: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in value.split(","):
        match = re.fullmatch(r"\s*(\d{1,5})(?:\s*-\s*(\d{1,5}))?\s*", part)
        if not match:
            raise UsageError(f"SHARD_IDS is {value!r}: give numbers and ranges, as in 0,1 or 0-3.")
        first, last = int(match[1]), int(match[2] or match[1])
        found.update(range(first, last + 1))
    return tuple(sorted(found))


def _pod_shards(pod: str, each: int) -> tuple[int, ...]:
    match = re.search(r"(\d{1,5})$", pod)
    if not match:
        raise UsageError(f"POD_INDEX is {pod!r}: give the ordinal of the StatefulSet's pod, as in 2 or sourceline-2.")
    first = int(match[1]) * each
    return tuple(range(first, first + each))


def _shards(env: Mapping[str, str]) -> tuple[int | None, tuple[int, ...] | None]:
    """The number of all shards, and those that this process serves (None: all of them)."""
    count = _number(env, "SHARD_COUNT", 1, 16_384)
    listed, pod = _text(env, "SHARD_IDS"), _text(env, "POD_INDEX")
    each = _number(env, "SHARDS_PER_POD", 1, 1000) or 1
    if not listed and not pod:
        return count, None
    if count is None:
        raise UsageError("SHARD_IDS and POD_INDEX need SHARD_COUNT, the number of all shards over all processes.")
    ids = _listed_shards(listed) if listed else tuple(i for i in _pod_shards(pod, each) if i < count)
    if not ids or ids[-1] >= count:
        raise UsageError(f"This process has no shard below SHARD_COUNT ({count}): shards count from 0.")
    return count, ids


@dataclass(frozen=True)
class Settings:
    """What the host decides. Neither the token nor the database's URL shows in a representation."""

    token: str = field(default="", repr=False)
    stories: Path | None = None
    data: Path | None = None
    database_url: str = field(default="", repr=False)
    message_content: bool = False
    log_format: str = "plain"
    log_level: str = "INFO"
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    shard_count: int | None = None
    shard_ids: tuple[int, ...] | None = None
    question_log: Path | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Settings from environment variables. Raises UsageError, in one sentence, for a wrong one."""
        shard_count, shard_ids = _shards(env)
        return cls(
            token=_token(env),
            stories=_path(env, "SOURCELINE_STORIES"),
            data=_path(env, "SOURCELINE_DATA"),
            database_url=_database(env),
            message_content=_switch(env, "MESSAGE_CONTENT"),
            log_format=_choice(env, "LOG_FORMAT", LOG_FORMATS, "plain"),
            log_level=_choice(env, "LOG_LEVEL", LOG_LEVELS, "INFO"),
            metrics_port=_number(env, "METRICS_PORT", 0, 65_535),
            metrics_host=_text(env, "METRICS_HOST") or "127.0.0.1",
            shard_count=shard_count,
            shard_ids=shard_ids,
            question_log=_path(env, "QUESTION_LOG"),
        )

    def data_folder(self, env: Mapping[str, str]) -> Path:
        """Where the server settings and the times of the last starts are kept."""
        if self.data:
            return self.data
        state = _text(env, "XDG_STATE_HOME")
        return (Path(state) if state else Path.home() / ".local" / "state") / "sourceline"
