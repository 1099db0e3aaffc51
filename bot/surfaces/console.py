"""The console chat: one conversation with the story, at a terminal or through a pipe."""

from __future__ import annotations

import os
import re
import sys
from typing import TextIO

from bot.answering.conversation import Turn
from bot.answering.reply import Answer, Reply
from bot.answering.responder import Responder
from bot.surfaces.plain import plain_text

_BOLD, _DIM, _RESET = "\033[1m", "\033[2m", "\033[0m"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
PROMPT = "you> "
_LEAVING = {"/quit", "/exit", "quit", "exit"}


def wants_colour(stream: TextIO) -> bool:
    """Colour only at a terminal, and not where NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def rendered(reply: Reply, colour: bool) -> str:
    """A reply for the console; control characters of an article cannot move the cursor."""
    text = _CONTROL.sub("", plain_text(reply))
    if not colour:
        return text
    head, *rest = text.split("\n")
    bold = f"{_BOLD}{head}{_RESET}" if isinstance(reply, Answer) else head
    return "\n".join([bold, *(f"{_DIM}{line}{_RESET}" if line.startswith(("> ", "— ")) else line for line in rest)])


def chat(responder: Responder, output: TextIO = sys.stdout) -> int:
    """Answer line after line until the end of input, Ctrl-C or `quit`; always exit status 0."""
    colour = wants_colour(output)
    previous: Turn | None = None
    print(f"{responder.story.title}\nAsk about the story; an empty line does nothing, quit leaves.", file=output)
    if responder.story.drafted:
        print("Nobody has reviewed a fact table for this story: answers are read off its lines.", file=output)
    while True:
        try:
            message = input(PROMPT if sys.stdin.isatty() else "")
        except (EOFError, KeyboardInterrupt):
            if sys.stdin.isatty():
                print(file=output)
            return 0
        if message.strip().lower() in _LEAVING:
            return 0
        if not message.strip():
            continue
        exchange = responder.respond(message, previous)
        previous = exchange.turn
        print(rendered(exchange.reply, colour) + "\n", file=output, flush=True)
