"""A reply as plain text, and as the JSON object that other programs read."""

from __future__ import annotations

from typing import Any, assert_never

from bot.answering.reply import (
    Answer,
    DidYouMean,
    NotInStory,
    OffTopic,
    Reply,
    Smalltalk,
    SmalltalkIntent,
    Source,
    Suggestion,
)

_SMALLTALK: dict[SmalltalkIntent, str] = {
    "greeting": "Hello! Ask me about the story “{title}”: I answer with the line that says so.",
    "thanks": "You're welcome. Ask on whenever you like.",
    "farewell": "Goodbye! The story “{title}” stays open for questions.",
    "help": (
        "I answer questions about one story, “{title}”, and show the line that says so. "
        "What the story doesn't say, I don't answer."
    ),
    "identity": (
        "I'm Sourceline, a bot. I look your question up in the story “{title}” and quote its line; I make nothing up."
    ),
    "empty": "Ask me a question about the story “{title}”.",
}
DRAFT_NOTE = "Nobody has reviewed this answer yet: read the line."


def smalltalk_text(reply: Smalltalk) -> str:
    """The sentence for a message that asks nothing of the story."""
    return _SMALLTALK[reply.intent].format(title=reply.title)


def opening(reply: Answer) -> str:
    """The short answer as a reply opens with it: a wrong premise is met with what the story says."""
    return f"The story says: {reply.answer}" if reply.corrects else reply.answer


def refusal(reply: NotInStory) -> str:
    """The sentence that says so, with the line that comes closest where an editor named one."""
    return f"{reply.says} See line {reply.line}." if reply.line else reply.says


def _quoted(source: Source) -> str:
    return f"> {source.text}\n— line {source.line}, {source.story}"


def _listed(suggestions: tuple[Suggestion, ...]) -> str:
    return "\n".join(f"• {suggestion.question}" for suggestion in suggestions)


def _with_list(head: str, suggestions: tuple[Suggestion, ...], lead: str) -> str:
    return f"{head}\n{lead}\n{_listed(suggestions)}" if suggestions else head


def plain_text(reply: Reply) -> str:
    """The whole reply: answer first, then the quoted line; or what else there is to say."""
    match reply:
        case Answer():
            note = (DRAFT_NOTE,) if reply.drafted else ()
            body = "\n".join([opening(reply), *map(_quoted, reply.sources), *note, *reply.unanswered])
            return _with_list(body, reply.suggestions, "The same line also answers:")
        case DidYouMean():
            return f"Did you mean:\n{_listed(reply.suggestions)}"
        case NotInStory():
            return _with_list(refusal(reply), reply.suggestions, "What it does say something about:")
        case OffTopic():
            head = "That is not what this story is about."
            return _with_list(head, reply.suggestions, "You could ask:")
        case Smalltalk():
            return _with_list(smalltalk_text(reply), reply.suggestions, "For example:")
        case _:
            assert_never(reply)


def _suggestion_object(suggestion: Suggestion) -> dict[str, Any]:
    return {"question": suggestion.question, "fact": suggestion.fact, "line": suggestion.line}


def _source_object(source: Source) -> dict[str, Any]:
    return {"story": source.story, "line": source.line, "text": source.text}


def _kind(reply: Reply) -> str:
    match reply:
        case Answer():
            return "answer"
        case DidYouMean():
            return "did_you_mean"
        case NotInStory():
            return "not_in_story"
        case OffTopic():
            return "off_topic"
        case Smalltalk():
            return "smalltalk"
        case _:
            assert_never(reply)


def json_object(message: str, reply: Reply) -> dict[str, Any]:
    """The JSON form of a reply; fields may be added to it, none renamed."""
    answer = reply if isinstance(reply, Answer) else None
    sources = [_source_object(source) for source in answer.sources] if answer else []
    return {
        "message": message,
        "kind": _kind(reply),
        "answer": answer.answer if answer else "",
        "corrects": bool(answer and answer.corrects),
        "source": sources[0] if sources else None,
        "sources": sources,
        "fact": answer.fact if answer else None,
        "drafted": bool(answer and answer.drafted),
        "score": getattr(reply, "score", 0.0),
        "suggestions": [_suggestion_object(s) for s in reply.suggestions],
        "unanswered": list(answer.unanswered) if answer else [],
        "text": plain_text(reply),
    }
