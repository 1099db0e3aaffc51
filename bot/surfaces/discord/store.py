"""What moderators chose for their servers, and the contract of the stores that keep it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal, Protocol, get_args

SCHEMA_VERSION = 1
WHOLE_SERVER = 0  # the place of a choice that holds for every channel; no channel has this number

Hears = Literal["mentions", "questions", "nothing"]
HEARS: tuple[Hears, ...] = get_args(Hears)


class StoreUnavailableError(Exception):
    """The store cannot be read or written now; the message is a clause without a reader's or a server's data."""


@dataclass(frozen=True)
class Choices:
    """What was chosen for a server or a channel; None where nothing was."""

    story: str | None = None
    hears: Hears | None = None
    private: bool | None = None

    def over(self, wider: Choices) -> Choices:
        """These choices, and those of a wider place where nothing was chosen here."""
        missing = {f.name: getattr(wider, f.name) for f in fields(self) if getattr(self, f.name) is None}
        return replace(self, **missing)


def hears_of(value: str | None) -> Hears | None:
    """A stored mode; None for one that this version does not know."""
    return next((known for known in HEARS if known == value), None)


def resolved(chosen: Mapping[int, Choices], places: Iterable[int]) -> Choices:
    """What holds in a place: the narrowest first (a thread, its channel), the whole server last."""
    found = Choices()
    for place in (*places, WHOLE_SERVER):
        found = found.over(chosen.get(place, Choices()))
    return found


class Store(Protocol):
    """Keeps choices by server and place. Every method raises StoreUnavailableError where it cannot."""

    async def load(self, server: int) -> dict[int, Choices]:
        """The choices of a server by place."""
        ...

    async def save(self, server: int, place: int, choices: Choices) -> None:
        """Keep the choices of a place; empty ones remove the place."""
        ...

    async def forget(self, server: int) -> None:
        """Remove everything of a server."""
        ...

    async def servers(self) -> set[int]:
        """The servers that something is kept of."""
        ...

    async def owner(self, application: int) -> int:
        """The application that everything is kept for: the first one that asked."""
        ...

    async def close(self) -> None:
        """Let go of files and connections."""
        ...
