"""Replies as plain text, and their JSON form."""

from __future__ import annotations

import io
import sys

import pytest

from bot.answering.reply import Answer, DidYouMean, NotInStory, OffTopic, Reply, Smalltalk, Source, Suggestion
from bot.answering.responder import Responder
from bot.surfaces import console
from bot.surfaces.plain import json_object, plain_text

SOURCE = Source("ferry", 3, "It struck the pier on Thursday.", "Thursday")
ASK = Suggestion("When was it?", "when", 3)
ANSWER = Answer("Thursday", (SOURCE,), "when", 91.4)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (ANSWER, "Thursday\n> It struck the pier on Thursday.\n— line 3, ferry"),
        (
            Answer("Thursday", (SOURCE,), "when", 80.0, corrects=True),
            "The story says: Thursday\n> It struck the pier on Thursday.\n— line 3, ferry",
        ),
        (DidYouMean((ASK, ASK), 40.0), "Did you mean:\n• When was it?\n• When was it?"),
        (NotInStory("The story gives no price."), "The story gives no price."),
        (
            NotInStory("The story doesn't say.", (ASK,)),
            "The story doesn't say.\nWhat it does say something about:\n• When was it?",
        ),
        (OffTopic(), "That is not what this story is about."),
        (Smalltalk("empty", "Ferry"), "Ask me a question about the story “Ferry”."),
    ],
)
def test_a_reply_as_text(reply: Reply, text: str) -> None:
    """Answer first, then the quoted line with its number; or what else there is to say."""
    assert plain_text(reply) == text


def test_the_json_form_is_the_contract() -> None:
    """Names and values as other programs rely on them."""
    assert json_object("when?", ANSWER) == {
        "message": "when?", "kind": "answer", "answer": "Thursday", "corrects": False,
        "source": {"story": "ferry", "line": 3, "text": "It struck the pier on Thursday."},
        "sources": [{"story": "ferry", "line": 3, "text": "It struck the pier on Thursday."}],
        "fact": "when", "drafted": False, "score": 91.4, "suggestions": [], "unanswered": [],
        "text": "Thursday\n> It struck the pier on Thursday.\n— line 3, ferry",
    }  # fmt: skip
    refused = json_object("how much?", NotInStory("The story gives no price.", (ASK,), 12.0, "price", 3))
    assert (refused["kind"], refused["answer"], refused["source"], refused["fact"]) == ("not_in_story", "", None, None)
    assert refused["suggestions"] == [{"question": "When was it?", "fact": "when", "line": 3}]


def test_colour_marks_the_answer_and_nothing_hangs_on_it() -> None:
    """Without its escape codes, the coloured text is the plain one; an article's control characters are gone."""
    coloured = console.rendered(ANSWER, colour=True)
    assert coloured.startswith("\x1b[1mThursday\x1b[0m")
    assert coloured.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "") == plain_text(ANSWER)
    evil = Source("ferry", 3, "It struck\x1b[2J the pier.")
    assert "\x1b" not in console.rendered(Answer("Thursday", (evil,), "when", 1.0), colour=False)


def test_no_colour_where_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a terminal, and not with NO_COLOR."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert console.wants_colour(Terminal())
    assert not console.wants_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not console.wants_colour(Terminal())


def test_a_chat_ends_with_its_input(seed_responder: Responder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blank lines do nothing, follow-ups lean on the answer before, the end of input leaves quietly."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n\nhi\nwhat is the weather on mars\n"))
    output = io.StringIO()
    assert console.chat(seed_responder, output) == 0
    shown = output.getvalue()
    assert shown.startswith(seed_responder.story.title)
    assert "Hello!" in shown
    assert shown.count("\n\n") == 2
