"""Which message of the bot answers which question: for edits, deletions, replies and buttons. In memory only."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import discord

from bot.answering.conversation import Turn

MAX_RECORDS, MAX_AGE_S = 2000, 900.0


@dataclass
class Record:
    """A question waiting, in hand or answered; `gone` where it was deleted before its answer was sent.

    `forgotten` where its reader wants nothing kept: it may be in hand then.
    """

    question: int
    asker: int
    channel: int
    text: str
    at: float
    in_server: bool = False
    previous: Turn | None = None
    turn: Turn | None = None
    answer: discord.Message | None = None
    gone: bool = False
    forgotten: bool = False

    @property
    def key(self) -> str:
        """Its reader's conversation."""
        return conversation_key(self.asker, self.channel)


def conversation_key(reader: int, channel: int | None) -> str:
    """The key of a reader's conversation in a channel; it begins with the reader, so that it can be forgotten."""
    return f"{reader}:{channel}"


class Records:
    """The latest questions, found by their own number or by that of the answer."""

    def __init__(self) -> None:
        self._by_question: OrderedDict[int, Record] = OrderedDict()
        self._by_answer: dict[int, Record] = {}

    def __len__(self) -> int:
        return len(self._by_question)

    def open(self, record: Record) -> Record:
        """Keep a question, and let go of what is too old or too much."""
        self._by_question[record.question] = record
        self.expire(record.at)
        return record

    def expire(self, now: float) -> None:
        """Let go of what is too old or too much."""
        while self._by_question:
            oldest = next(iter(self._by_question.values()))
            if len(self._by_question) <= MAX_RECORDS and now - oldest.at <= MAX_AGE_S:
                break
            self._drop(oldest)

    def answered(self, record: Record, answer: discord.Message) -> None:
        """Keep which message answers a question."""
        record.answer = answer
        if record.question in self._by_question:
            self._by_answer[answer.id] = record

    def of_question(self, question: int, now: float) -> Record | None:
        """The record of a question, by the number of its message."""
        return self._young(self._by_question.get(question), now)

    def of_answer(self, answer: int, now: float) -> Record | None:
        """The record of an answer, by the number of the bot's message."""
        return self._young(self._by_answer.get(answer), now)

    def forget(self, asker: int) -> None:
        """Forget every question of a reader."""
        for record in [record for record in self._by_question.values() if record.asker == asker]:
            record.forgotten = True
            self._drop(record)

    def drop(self, record: Record) -> None:
        """Forget one question."""
        if record.question in self._by_question:
            self._drop(record)

    @staticmethod
    def _young(record: Record | None, now: float) -> Record | None:
        return record if record and now - record.at <= MAX_AGE_S else None

    def _drop(self, record: Record) -> None:
        del self._by_question[record.question]
        if record.answer is not None:
            self._by_answer.pop(record.answer.id, None)
