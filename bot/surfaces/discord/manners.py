"""Manners: cooldowns with one notice, everybody's turn in order, and channels where the bot may not speak."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum

READER_MESSAGES, READER_SECONDS = 8, 20.0  # a quick reader sends one in three seconds; a flood is faster
CHANNEL_MESSAGES, CHANNEL_SECONDS = 20, 20.0  # a message a second: nobody can read more
SLOW_DOWN = "That was a lot at once: please wait a few seconds."
MAX_WATCHED = 5000  # readers and channels watched at once


class Pace(Enum):
    """What a message gets: its answer, the one notice, or silence."""

    GO = "go"
    NOTICE = "notice"
    SILENCE = "silence"


@dataclass
class _Watched:
    served: deque[float] = field(default_factory=deque)
    refused: float = float("-inf")


class Cooldown:
    """At most so many messages in a sliding window; the first one too many is told so, the rest meet silence."""

    def __init__(self, messages: int, seconds: float) -> None:
        self._messages, self._seconds = messages, seconds
        self._watched: OrderedDict[int, _Watched] = OrderedDict()

    def pace(self, who: int, now: float, *, tells: bool = True) -> Pace:
        """What the message of a reader, or in a channel, gets; only served ones are counted.

        The notice is kept for later where this message would not be told (`tells`).
        """
        watched = self._watched.setdefault(who, _Watched())
        self._watched.move_to_end(who)
        while len(self._watched) > MAX_WATCHED:
            self._watched.popitem(last=False)
        while watched.served and now - watched.served[0] >= self._seconds:
            watched.served.popleft()
        if len(watched.served) < self._messages:
            watched.served.append(now)
            return Pace.GO
        if not tells:
            return Pace.SILENCE
        told, watched.refused = now - watched.refused < self._seconds, now
        return Pace.SILENCE if told else Pace.NOTICE


class Lanes:
    """One lane a reader: what comes first is answered first. A lane lives while somebody is in it."""

    def __init__(self) -> None:
        self._lanes: dict[str, tuple[asyncio.Lock, int]] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Wait until all that came earlier under this key is done."""
        lock, waiting = self._lanes.get(key, (asyncio.Lock(), 0))
        self._lanes[key] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._lanes.pop(key)
            if waiting > 1:
                self._lanes[key] = (lock, waiting - 1)


class Silences:
    """Channels that refused a message lately: asking again would count against the bot at Discord."""

    def __init__(self, seconds: float = 600.0) -> None:
        self._seconds = seconds
        self._until: OrderedDict[int, float] = OrderedDict()

    def add(self, channel: int, now: float) -> None:
        """Do not speak in a channel for a while."""
        self._until[channel] = now + self._seconds
        while len(self._until) > MAX_WATCHED:
            self._until.popitem(last=False)

    def holds(self, channel: int, now: float) -> bool:
        """Whether the bot had better be silent in a channel."""
        if self._until.get(channel, now) > now:
            return True
        self._until.pop(channel, None)
        return False
