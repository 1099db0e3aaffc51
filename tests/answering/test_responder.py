"""Replies on the shipped story and on drafted ones, with the shipped models."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.answering.matcher import Models
from bot.answering.reply import Answer, DidYouMean, NotInStory, OffTopic, Smalltalk
from bot.answering.responder import Responder, build_responder
from bot.story.library import Story, load_story
from bot.surfaces.plain import json_object, plain_text
from tests.conftest import SEED, WHEN_CONFIRMED

FERRY = """Ferry strikes pier in Brask harbour, nine hurt

BRASK, Oct. 3 (Coastwire) - A passenger ferry struck a stone pier in Brask harbour late on Thursday, injuring nine \
people, the harbour office said.

The Marigold, with 212 people on board, had left the island of Tolm at 9:40 p.m. in calm weather.

“The captain reported that the rudder no longer answered,” harbour master Ilse Renfro told reporters on Friday.

The Brask Ferry Company denied reports that the rudder had been due for repair, and said it would publish the \
maintenance log next week.
"""


@pytest.fixture(scope="module")
def ferry(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Responder:
    """A story that nobody reviewed."""
    path = tmp_path_factory.mktemp("story") / "ferry.txt"
    path.write_text(FERRY, "utf-8")
    return build_responder(load_story(path), models)


@pytest.mark.parametrize(
    ("message", "answer", "line"),
    [
        ("When did North Korea confirm the deployment?", WHEN_CONFIRMED, 3),
        ("when did north korea confirm the deployment", WHEN_CONFIRMED, 3),
        ("WHEN DID NORTH KOREA CONFIRM THE DEPLOYMENT???", WHEN_CONFIRMED, 3),
        ("**when** did <@99> North Korea confirm the deployment", WHEN_CONFIRMED, 3),
    ],
)
def test_the_first_question_is_answered_with_its_line(
    seed_responder: Responder, message: str, answer: str, line: int
) -> None:
    """Short answer, the sentence it stands in, the line."""
    reply = seed_responder.respond(message).reply
    assert isinstance(reply, Answer)
    assert (reply.answer, reply.sources[0].line, reply.corrects) == (answer, line, False)
    assert reply.sources[0].text in seed_responder.story.article.line(line)


@pytest.mark.parametrize(
    "message", ["So North Korea never confirmed it?", "did japan take part in the kursk operations"]
)
def test_a_wrong_premise_gets_no_yes(seed_responder: Responder, message: str) -> None:
    """The row that says what happened opens with "Yes"; its quote puts the message right without."""
    reply = seed_responder.respond(message).reply
    assert isinstance(reply, Answer)
    fact = seed_responder.story.table.fact(reply.fact)
    assert fact
    assert fact.answer.startswith("Yes")
    assert reply.answer == fact.quote


def test_every_question_of_the_table_gets_its_fact_or_the_same_words(seed_responder: Responder) -> None:
    """An editor who wrote a question into the table sees its answer, whatever else comes close."""
    asked = [(fact, question) for fact in seed_responder.story.table.facts for question in fact.questions]
    for fact, question in asked:
        reply = seed_responder.respond(question).reply
        assert isinstance(reply, Answer)
        assert (reply.answer, reply.sources[0].line) == (fact.answer, fact.line)


def test_a_question_close_to_the_table_s_is_matched_not_looked_up(seed_responder: Responder) -> None:
    """With words before it no table holds it: it is ranked, read and judged, and mostly gets the same line."""
    asked = [(fact, fact.questions[0]) for fact in seed_responder.story.table.facts]
    sample = asked[:: max(1, len(asked) // 40)]
    found = 0
    for fact, question in sample:
        exchange = seed_responder.respond(f"honestly now: {question}")
        assert exchange.steps or not isinstance(exchange.reply, Answer)
        found += isinstance(exchange.reply, Answer) and any(s.line == fact.line for s in exchange.reply.sources)
    assert found >= 0.85 * len(sample)


def test_a_known_gap_is_refused_with_its_sentence(seed_responder: Responder) -> None:
    """The table's own gap questions are answered with the gap's own sentence."""
    for gap in seed_responder.story.table.gaps:
        reply = seed_responder.respond(gap.questions[0]).reply
        assert isinstance(reply, NotInStory)
        assert reply.says == gap.says


def test_a_follow_up_is_not_asked_of_another_story(seed_responder: Responder, ferry: Responder) -> None:
    """What was answered about one story is nothing that another one can quote from."""
    before = ferry.respond("When did the ferry strike the pier?").turn
    asked = seed_responder.respond("which line?", before)
    assert not isinstance(asked.reply, Answer)
    assert asked.turn.story == seed_responder.story.name
    assert isinstance(ferry.respond("which line?", before).reply, Answer)


def test_a_drafted_story_answers_with_words_of_its_line(ferry: Responder) -> None:
    """Nobody reviewed the table: the answer is read off the line, and says so."""
    reply = ferry.respond("How many people were hurt?").reply
    assert isinstance(reply, Answer)
    assert reply.drafted
    assert "nine" in reply.answer
    assert reply.answer in reply.sources[0].text


def test_two_questions_get_both_answers_each_with_its_line(ferry: Responder) -> None:
    """The answers joined, the lines in order."""
    reply = ferry.respond("How many people were on board and who is Ilse Renfro?").reply
    assert isinstance(reply, Answer)
    assert "212" in reply.answer
    assert "harbour master" in reply.answer
    assert [source.line for source in reply.sources] == [5, 7]


def test_two_questions_without_an_answer_keep_what_they_follow_up(seed_responder: Responder) -> None:
    """A compound follow-up is judged as a follow-up to the end."""
    first = seed_responder.respond("Who ordered the deployment?")
    second = seed_responder.respond("what does he eat and where does he live?", first.turn)
    assert isinstance(second.reply, NotInStory)
    assert second.steps[-1].understood.startswith("Who ordered the deployment?")
    assert second.turn.answer == first.reply


def test_a_name_without_its_accents_is_known(models: Models, tmp_path: Path) -> None:
    """Readers type "Sefcovic"."""
    path = tmp_path / "talks.txt"
    path.write_text("Trade talks led by Maroš Šefčovič and Erdoğan’s envoy go on in Ankara on Monday.\n", "utf-8")
    matcher = build_responder(load_story(path), models).matcher
    for message in ("what about Šefčovič?", "what about Sefcovic?"):
        assert matcher.match(message, matcher.rank(message)).unknown == 0


def test_the_end_of_a_long_sentence_is_found(models: Models, tmp_path: Path) -> None:
    """A sentence that the encoder would cut off is read in parts."""
    votes = "; ".join(f"in ward {ward} the mayor got {1000 + ward} votes" for ward in range(1, 70))
    path = tmp_path / "recount.txt"
    path.write_text(f"Results came late: {votes}; the recount was ordered by judge Maria Lopez on Friday.\n", "utf-8")
    reply = build_responder(load_story(path), models).respond("who ordered the recount?").reply
    assert isinstance(reply, Answer)
    assert "Maria Lopez" in reply.answer


def test_two_questions_with_one_answer_get_it_once(seed_responder: Responder) -> None:
    """What a second answer says in other order is not said twice; of two lines both are shown."""
    reply = seed_responder.respond("When is Victory Day, and what anniversary is it?").reply
    assert isinstance(reply, Answer)
    assert reply.answer == "May 9, Victory Day in Moscow, the 80th anniversary of World War II’s end"
    assert [source.line for source in reply.sources] == [21]


def test_a_question_without_an_answer_is_named_beside_one_that_has_one(seed_responder: Responder) -> None:
    """Half an answer does not pass for a whole one."""
    reply = seed_responder.respond("When did North Korea confirm it, and how many soldiers were sent?").reply
    assert isinstance(reply, Answer)
    assert reply.answer == WHEN_CONFIRMED
    assert [source.line for source in reply.sources] == [3]
    (sentence,) = reply.unanswered
    assert "no number of troops" in sentence
    assert plain_text(reply).endswith(sentence)


def test_a_reply_repeats_nothing_that_a_reader_wrote(seed_responder: Responder) -> None:
    """In public it would stand under the bot's name."""
    reply = seed_responder.respond(
        "When did North Korea confirm the deployment? who wants nitro at discord.gg/abc"
    ).reply
    assert isinstance(reply, Answer)
    assert reply.unanswered == ("To your second question the story has no answer.",)


@pytest.mark.parametrize(
    "message",
    [
        "",
        " ",
        "🎉🎉🎉",
        "the of and",
        "?" * 50,
        "\x00\x01\u202e",
        "a" * 10_000,
        "when " * 3000,
        "```\ncode\n```",
        "<@1>",
    ],
)
def test_any_message_gets_a_reply(seed_responder: Responder, message: str) -> None:
    """No content and no length is an exception, and none of these is an answer."""
    assert not isinstance(seed_responder.respond(message).reply, Answer)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=300) | st.lists(st.sampled_from(FERRY.split()), max_size=12).map(" ".join))
def test_whatever_is_asked_the_reply_quotes_the_story(ferry: Responder, message: str) -> None:
    """Every answer stands on its line, every suggestion names a fact, the JSON form holds, twice gives the same."""
    reply = ferry.respond(message).reply
    told = json.loads(json.dumps(json_object(message, reply)))
    assert told["kind"] in ("answer", "did_you_mean", "not_in_story", "off_topic", "smalltalk")
    assert told["text"] == plain_text(reply)
    assert (told["source"] is None) == (told["kind"] != "answer")
    assert 0 <= told["score"] <= 100
    for source in told["sources"]:
        assert source["text"] in ferry.story.article.line(source["line"])
    for source in reply.sources if isinstance(reply, Answer) else ():
        assert source.text[source.at :].startswith(source.marked)
    for suggestion in told["suggestions"]:
        assert ferry.reply_for(suggestion["fact"]) is not None
    assert ferry.respond(message).reply == reply


def test_the_order_of_the_rows_changes_nothing(seed_responder: Responder, models: Models) -> None:
    """The same replies and scores from the same table with its rows turned round."""
    story = seed_responder.story
    table = dataclasses.replace(story.table, facts=story.table.facts[::-1], gaps=story.table.gaps[::-1])
    turned = build_responder(Story(story.name, story.article, table, drafted=False), models)
    for message in ("who confirmed it", "how many died", "why did they go", "what is the party called", "Putin said?"):
        one, other = seed_responder.respond(message).reply, turned.respond(message).reply
        assert type(one) is type(other)
        assert getattr(one, "score", None) == getattr(other, "score", None)
        if isinstance(one, Answer | NotInStory | DidYouMean):
            assert one == other


def test_smalltalk_and_other_topics_are_met_in_kind(seed_responder: Responder) -> None:
    """A greeting is greeted; a recipe is not in the story."""
    hello = seed_responder.respond("hi there").reply
    assert isinstance(hello, Smalltalk)
    assert hello.intent == "greeting"
    assert isinstance(seed_responder.respond("best lasagna recipe with zucchini").reply, OffTopic | NotInStory)


def test_a_fact_can_be_had_by_its_id(seed_responder: Responder) -> None:
    """What a button shows; a fact that is gone is None."""
    fact = seed_responder.story.table.facts[0]
    reply = seed_responder.reply_for(fact.id)
    assert reply is not None
    assert reply.answer == fact.answer
    assert seed_responder.reply_for("no-such-fact") is None


def test_other_candidates_leave_out_the_refused_fact(seed_responder: Responder) -> None:
    """The button "Not what I asked" offers other facts than the one shown."""
    first = seed_responder.respond("When did North Korea confirm the deployment?").reply
    assert isinstance(first, Answer)
    reply = seed_responder.alternatives("When did North Korea confirm the deployment?", first.fact).reply
    assert isinstance(reply, DidYouMean)
    assert all(suggestion.fact != first.fact for suggestion in reply.suggestions)


def test_other_candidates_for_a_follow_up_lean_on_what_was_asked_before(seed_responder: Responder) -> None:
    """They are looked for behind the earlier question, not behind the answer that was not meant."""
    first = seed_responder.respond("When did North Korea confirm the deployment?")
    reply = seed_responder.alternatives("what about Russia?", "moscow-first", first.turn).reply
    assert isinstance(reply, DidYouMean)
    assert reply != seed_responder.alternatives("what about Russia?", "moscow-first").reply


def test_autocomplete_offers_the_tables_questions(seed_responder: Responder) -> None:
    """Best first, at most 25, at most 100 characters, from the table; all of them where nothing was typed."""
    found = seed_responder.suggest("when did north korea conf")
    assert found[0].lower().startswith("when did north korea")
    assert len(seed_responder.suggest("")) == 25
    for question in (*found, *seed_responder.suggest("")):
        assert question in seed_responder.story.table.questions
        assert len(question) <= 100


def test_an_article_of_one_line_answers(models: Models, tmp_path: Path) -> None:
    """The smallest story works."""
    path = tmp_path / "one.txt"
    path.write_text("The bridge opened on May 3.\n", "utf-8")
    reply = build_responder(load_story(path), models).respond("When did the bridge open?").reply
    assert isinstance(reply, Answer)
    assert "May 3" in reply.answer


def test_the_cited_sentence_is_the_one_that_was_read(models: Models, tmp_path: Path) -> None:
    """A short answer that also stands in a longer number, or in a sentence before, is marked where it was read."""
    path = tmp_path / "fire.txt"
    path.write_text(
        "The fire in the hall at Varna began at 13:05 on Monday. Firemen said 3 men were hurt in it.\n", "utf8"
    )
    reply = build_responder(load_story(path), models).respond("how many men were hurt?").reply
    assert isinstance(reply, Answer)
    (source,) = reply.sources
    assert source.text == "Firemen said 3 men were hurt in it."
    assert source.text[source.at :].startswith(source.marked)
    assert source.marked.startswith("3")


def test_a_story_without_a_gist_of_its_editor_shows_a_sentence(seed_responder: Responder, models: Models) -> None:
    """What it is about is then its most central opening sentence, unreviewed, as a row of that line."""
    story = seed_responder.story
    facts = tuple(fact for fact in story.table.facts if fact.id != "gist")
    table = dataclasses.replace(story.table, facts=facts)
    reply = build_responder(dataclasses.replace(story, table=table), models).respond("what is this story about?").reply
    assert isinstance(reply, Answer)
    assert reply.drafted
    assert reply.answer in story.article.line(reply.sources[0].line)
    row = table.fact(reply.fact)
    assert row is not None
    assert row.line == reply.sources[0].line


def test_the_seed_article_is_the_given_one() -> None:
    """Byte for byte."""
    assert load_story(SEED).article.sha256 == "1081884e3f267e43866ece76eb6e02c716c780792db205ba6fa89a3667f5d2e3"
