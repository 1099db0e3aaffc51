"""Follow-ups, remarks, and the bounded memory of conversations."""

from __future__ import annotations

import pytest

from bot.answering.conversation import (
    Conversations,
    Turn,
    aside,
    asks_who_said,
    last_words,
    leans_on_before,
    named,
    next_turn,
    who_said,
)
from bot.answering.reply import Answer, NotInStory, Source
from bot.answering.responder import Responder
from tests.conftest import WHEN_CONFIRMED

TURN = Turn("when did it open", None)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("are you sure?", "sure"),
        ("really?", "sure"),
        ("where does it say that?", "source"),
        ("which line", "source"),
        ("source?", "source"),
        ("how do you know that?", "source"),
        ("how do they know that?", None),
        ("sorry, what was that again?", "again"),
        ("can you repeat that please", "again"),
        ("tell me again", "again"),
        ("did they deny it again", None),
        ("tell me more", "more"),
        ("anything else?", "more"),
        ("are you sure Kim said so?", None),
        ("where does Kim live", None),
    ],
)
def test_remarks_on_the_last_answer(message: str, kind: str | None) -> None:
    """A remark asks about the last answer; a question that only begins like one is a question."""
    assert aside(message) == kind


@pytest.mark.parametrize(
    ("message", "leans"),
    [
        ("when?", True),
        ("who said that?", True),
        ("and why?", True),
        ("what about Russia?", True),
        ("how many?", True),
        ("When did North Korea confirm the deployment?", False),
        ("Who is Valery Gerasimov?", False),
    ],
)
def test_what_leans_on_the_message_before(message: str, leans: bool) -> None:
    """A whole question stands alone; a fragment does not."""
    assert leans_on_before(message) is leans


def test_a_pronoun_takes_the_name_of_the_last_answer() -> None:
    """The first "he" is who was just named."""
    assert named("how old is he", "Ilse Renfro") == "how old is Ilse Renfro"


def test_what_was_given_is_not_given_again(seed_responder: Responder) -> None:
    """A chain of follow-ups asks for something new each time."""
    first = seed_responder.respond("When was the partnership agreement ceremony?")
    second = seed_responder.respond("where?", first.turn)
    third = seed_responder.respond("when?", second.turn)
    answers = [e.reply.answer for e in (first, second, third) if isinstance(e.reply, Answer)]
    assert answers[:2] == [
        "June 19, 2024, the day of the partnership agreement ceremony in Pyongyang",
        "Pyongyang, North Korea, at a partnership agreement ceremony on June 19, 2024",
    ]
    assert len(set(answers)) == len(answers)


def test_what_was_answered_earlier_may_be_asked_for_again(seed_responder: Responder) -> None:
    """A follow-up that names it gets it, where nothing new answers; a bare one asks for something new."""
    first = seed_responder.respond("When was the partnership agreement ceremony?")
    second = seed_responder.respond("where?", first.turn)
    third = seed_responder.respond("and what was its date?", second.turn)
    assert isinstance(first.reply, Answer)
    assert isinstance(second.reply, Answer)
    assert isinstance(third.reply, Answer)
    assert third.reply.answer == first.reply.answer
    assert second.reply.answer != first.reply.answer


def test_who_said_that_asks_for_the_speaker_of_the_sentence_just_quoted() -> None:
    """What was quoted stands for "that"; a question that says what was said is a whole question."""
    assert asks_who_said("and who said that?")
    assert asks_who_said("who claims this")
    assert not asks_who_said("who said that Kim was ill?")
    assert who_said("who said that?", "At least 106 died.") == "who said At least 106 died?"


def test_a_follow_up_is_read_with_the_end_of_a_long_question() -> None:
    """The earlier question is taken whole, or its last words."""
    assert last_words("when did it open") == "when did it open"
    assert last_words("a " * 50).split() == ["a"] * 40


def test_a_turn_holds_what_was_asked_and_answered_since_a_whole_question() -> None:
    """What "he" or "there" stands for may be in an answer; a refusal adds the question alone."""
    opened, who = (Answer(text, (Source("bridge", 3, text),), text, 90.0) for text in ("May 3", "Ilse Renfro"))
    first = next_turn(Turn("old", None), "when did it open", False, opened)
    assert first == Turn("when did it open : May 3", opened, (opened,), opened)
    second = next_turn(first, "what did it cost", True, None)
    assert second == Turn("when did it open : May 3 >> what did it cost", opened, (opened,))
    third = next_turn(second, "by whom?", True, who)
    assert third.question == "when did it open : May 3 >> what did it cost >> by whom? : Ilse Renfro"
    assert (third.answer, third.given) == (who, (opened, who))


def test_memory_is_bounded_in_number_and_time() -> None:
    """The oldest reader goes first, and nobody is remembered past the age."""
    kept = Conversations(max_readers=2, max_age_s=60)
    for now, key in enumerate(("ann:1", "bea:1", "cem:1")):
        kept.remember(key, TURN, float(now))
    assert kept.previous("ann:1", 3.0) is None
    assert kept.previous("bea:1", 3.0) == TURN
    assert kept.previous("cem:1", 63.0) is None
    assert len(kept) == 1


def test_a_reader_can_be_forgotten() -> None:
    """Every place of one reader is forgotten, nobody else's."""
    kept = Conversations()
    for key in ("1:10", "1:11", "12:10"):
        kept.remember(key, TURN, 0.0)
    assert kept.forget("1:") == 2
    assert kept.previous("12:10", 1.0) == TURN


def test_follow_ups_on_the_seed_story(seed_responder: Responder) -> None:
    """Where it stands and whether it is sure give the same answer again; a new question is not dragged back."""
    first = seed_responder.respond("When did North Korea confirm the deployment?")
    assert isinstance(first.reply, Answer)
    assert first.reply.answer == WHEN_CONFIRMED
    for remark in ("where does it say that?", "are you sure?", "say that again?"):
        again = seed_responder.respond(remark, first.turn)
        assert again.reply == first.reply
        assert again.turn == first.turn
    more = seed_responder.respond("tell me more", first.turn).reply
    assert isinstance(more, Answer)
    assert more.suggestions
    other = seed_responder.respond("Who is Valery Gerasimov?", first.turn).reply
    assert other == seed_responder.respond("Who is Valery Gerasimov?").reply


def test_a_follow_up_may_go_on_about_what_was_just_answered(seed_responder: Responder) -> None:
    """An answer that holds the words of the last one and goes on is no repetition; the same fact is."""
    first = seed_responder.respond("Who ordered the deployment?")
    assert isinstance(first.reply, Answer)
    told = seed_responder.respond("did he tell the russians?", first.turn).reply
    assert isinstance(told, Answer)
    assert "notified Russia" in told.answer
    assert told.fact != first.reply.fact


def test_a_follow_up_to_two_questions_leans_on_the_second(seed_responder: Responder) -> None:
    """The line that it leans on is the last one quoted, though the reply quotes both."""
    first = seed_responder.respond("When did North Korea confirm the deployment, and where will the monument stand?")
    assert isinstance(first.reply, Answer)
    assert [source.line for source in first.reply.sources] == [3, 15]
    follow_up = seed_responder.respond("who said that?", first.turn)
    assert first.reply.sources[1].text.rstrip(".") in follow_up.steps[0].understood


def test_a_refusal_keeps_the_last_answer_at_hand(seed_responder: Responder) -> None:
    """After "the story doesn't say" a follow-up still leans on the answer before; a remark is about the refusal."""
    first = seed_responder.respond("When did North Korea confirm the deployment?")
    second = seed_responder.respond("What did the deployment cost in dollars?", first.turn)
    assert isinstance(first.reply, Answer)
    assert isinstance(second.reply, NotInStory)
    assert second.turn.answer == first.reply
    for remark in ("are you sure?", "which line?", "say that again"):
        assert seed_responder.respond(remark, second.turn).reply == second.reply
    more = seed_responder.respond("tell me more", second.turn).reply
    assert isinstance(more, Answer)
    assert more.fact == first.reply.fact
