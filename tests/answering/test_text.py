"""Text of messages: cleaning, splitting, spelling, kinds of answers, spans."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.answering.asks import asked, asks_for_gist, can_give, may_serve
from bot.answering.conversation import aside, follows_up
from bot.answering.smalltalk import smalltalk
from bot.answering.spans import widened
from bot.answering.spelling import Speller
from bot.answering.text import MAX_MESSAGE, clean, content_words, holds_words, parts
from bot.story.table import AnswerType, Fact

ENGLISH = {word: i for i, word in enumerate("soul people president letter crime when nuclear troops visited".split())}
STORY = (
    "Kim Jong Un met Valery Gerasimov in Seoul, Ukraine, near Kursk.",
    "The Workers’ Party’s Rodong Sinmun ran the ceremony for the soldiers.",
)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("  when\n did\tit start? ", "when did it start?"),
        ("**when** `did` ~~it~~ ||start||", "when did it start"),
        ("<@123> <#45> when? https://example.org/a?b", "when?"),
        ("```py\nprint()\n``` who won", "who won"),
        ("when\u202e did\u200b it\x00 start", "when did it start"),
        ("com\u00adman\u200bder", "commander"),
        ("who’s he", "who's he"),
        ("🎉🎉", "🎉🎉"),
        ("", ""),
    ],
)
def test_cleaning(raw: str, expected: str) -> None:
    """Markdown, mentions, links and control characters carry no question."""
    assert clean(raw) == expected


@given(st.text(max_size=3 * MAX_MESSAGE))
def test_a_cleaned_message_is_short_and_printable(raw: str) -> None:
    """Whatever comes in, nothing invisible and nothing long goes on; cleaning twice changes nothing."""
    text = clean(raw)
    assert len(text) <= MAX_MESSAGE
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in text)
    assert clean(text) == text


@pytest.mark.parametrize(
    "piece",
    ["hi!! ", "so, ", "please?! ", "and ", "what is this ", "who said that ", "is it ", "a", "?", "'s ", "1.", "-"],
)
def test_no_message_takes_for_ever(piece: str) -> None:
    """A pattern that tries every way to cut a long message would never come back from one of these."""
    text = f"{piece * (MAX_MESSAGE // len(piece))} troops"
    for look in (clean, asked, asks_for_gist, aside, follows_up, smalltalk, parts, content_words):
        look(text)
    assert len(clean(text)) <= MAX_MESSAGE


@pytest.mark.parametrize(
    ("text", "part", "holds"),
    [
        ("13 people", "3", False), ("April 28", "April 2", False), ("About 40 people", "40 people.", True),
        ("the Network", "two", False), ("On April 28", "april 28", True), ("x", "!", False),
    ],
)  # fmt: skip
def test_words_in_a_row(text: str, part: str, holds: bool) -> None:
    """Whole words, whatever their case and marks."""
    assert holds_words(text, part) is holds


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("When did it open and who paid?", ["When did it open", "who paid"]),
        ("Who won? Where was it?", ["Who won", "Where was it"]),
        ("Where do Kim and Putin meet?", ["Where do Kim and Putin meet?"]),
        ("When did it open and close?", ["When did it open and close?"]),
        ("Was it Kim first or was it Putin?", ["Was it Kim first or was it Putin?"]),
        ("Who opened it, and on what date did it close?", ["Who opened it", "on what date did it close"]),
        ("who sent it and to whom", ["who sent it", "to whom"]),
        ("I know that it opened and who paid", ["I know that it opened and who paid"]),
    ],
)
def test_parts_of_a_compound_message(message: str, expected: list[str]) -> None:
    """A message is split only where each part asks something."""
    assert parts(message) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("who is gerasinov", "who is gerasimov"),
        ("Gersimov's visit", "Gerasimov's visit"),
        ("what is roding sinmun", "what is rodong sinmun"),
        ("the cermony for soliders", "the ceremony for soldiers"),
        ("nucleer troops", "nuclear troops"),
        ("Seoul soul Ukraine", "Seoul soul Ukraine"),
        ("people visited the crime", "people visited the crime"),
        ("xkcd qwzx", "xkcd qwzx"),
        ("wehn did tehy say taht, hwo?", "when did they say that, hwo?"),
        ("hwo many died", "how many died"),
        ("wen wont ppl hav it, arent they", "when won't people have it, aren't they"),
        ("havent theyre soldiers", "haven't they're soldiers"),
        ("what did rodong say", "what did rodong say"),
    ],
)
def test_spelling_is_repaired_and_correct_words_stay(message: str, expected: str) -> None:
    """Misspelt names and words come from the story, else from general English; a correct word is never touched."""
    repaired = Speller(STORY, ENGLISH).repair(message)
    assert repaired.lower() == expected.lower()


def test_a_name_of_the_story_is_no_sloppy_spelling() -> None:
    """Where an article is about Mr Wen or Angkor Wat, "wen" and "wat" are names."""
    story = ("Premier Wen went to Angkor Wat.",)
    assert Speller(story, ENGLISH).repair("wen saw wat wen") == "wen saw wat wen"
    assert Speller(STORY, ENGLISH).repair("wen saw wat") == "when saw what"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("How many soldiers were sent?", "how-many"),
        ("number of troops", "how-many"),
        ("When did Kim say that?", "when"),
        ("what day was it", "when"),
        ("Where did they fight?", "where"),
        ("how come they went", "why"),
        ("what did Kim say", "quote"),
        ("who did Putin talk to", "whom"),
        ("Who confirmed it?", "who"),
        ("did Russia deny it", "yes-no"),
        ("how was it announced", "how"),
        ("what happened", "what"),
        ("what'd russia say when the pictures came out", "what"),
        ("who signed the treaty where they met", "who"),
        ("so when was that", "when"),
        ("they arrived when?", "when"),
        ("any idea where it was", "where"),
        ("and where from", "where"),
        ("north korea troops", None),
    ],
)
def test_the_kind_of_answer_asked_for(message: str, expected: str | None) -> None:
    """The kind is read from the message's words."""
    assert asked(message) == expected


def test_what_cannot_be_an_answer() -> None:
    """A number is never answered without one, a time never with a name."""
    assert not can_give("how-many", "the Kursk region")
    assert can_give("how-many", "about a dozen")
    assert not can_give("when", "Valery Gerasimov")
    assert can_give("when", "last Saturday")
    assert not can_give("who", "in order to win")
    assert can_give("who", "Kim Jong Un")


@pytest.mark.parametrize(
    ("wanted", "asks", "answer", "serves"),
    [
        ("when", "yes-no", "Yes, they confirmed it", False),
        ("how", "yes-no", "No, they had denied it", False),
        ("how", "how-many", "By 14 percent", True),
        ("what", "yes-no", "no tax was planned", True),
        ("when", "yes-no", "on Monday it was denied", True),
        ("who", "when", "on May 3", False),
        ("yes-no", "who", "Kim Jong Un", True),
    ],
)
def test_which_facts_may_serve(wanted: AnswerType, asks: AnswerType, answer: str, serves: bool) -> None:
    """What opens with "Yes" or "No" answers nothing but yes-no questions; a date is nobody."""
    assert may_serve(wanted, Fact("x", asks, answer, 1, answer, ("?",))) is serves


@pytest.mark.parametrize(
    ("message", "intent"),
    [
        ("hi", "greeting"),
        ("Hello there!", "greeting"),
        ("thanks a lot", "thanks"),
        ("ok cool", "thanks"),
        ("who are you?", "identity"),
        ("hi, what can you do?", "help"),
        ("help", "help"),
        ("good night", "farewell"),
        ("gtg, see ya", "farewell"),
        ("you are really helpful", "thanks"),
        ("hahaha nice", "thanks"),
        ("gud mornin, hope ur well", "greeting"),
        ("who had to go", None),
        ("are they that good", None),
        ("?!", "empty"),
        ("🎉", "empty"),
        ("who are the soldiers", None),
        ("thanks, and when was it signed?", None),
        ("hi when did north korea confirm", None),
        ("can you help me find who signed the treaty", None),
    ],
)
def test_smalltalk(message: str, intent: str | None) -> None:
    """Smalltalk is smalltalk only where nothing is asked besides."""
    assert smalltalk(clean(message)) == intent


def test_a_span_is_widened_to_what_an_editor_would_keep() -> None:
    """Whole words, the unit with the number, the currency, both marks of a quotation; no comma at the ends."""
    text = "It paid $12 million, he said: “We won’t pay more,” on May 3."

    def widen(part: str) -> str:
        start = text.index(part)
        first, last = widened(text, start, start + len(part))
        return text[first:last]

    assert widen("12") == "$12 million"
    assert widen("ill") == "million"
    assert widen("We won’t pay more,") == "“We won’t pay more,”"
    assert widen("May 3") == "May 3"


@given(st.text(min_size=1, max_size=80), st.integers(0, 90), st.integers(0, 90))
def test_a_widened_span_lies_in_its_text(text: str, start: int, end: int) -> None:
    """Any offsets give offsets of the same text."""
    first, last = widened(text, min(start, end), max(start, end))
    assert 0 <= first <= last <= len(text)


def test_content_words_hold_no_stop_words() -> None:
    """What carries the sense is left."""
    assert content_words("When did the North send its troops?") == ["north", "send", "troops"]
    assert content_words("the ‘south’ and Kim’s envoy Erdoğan") == ["south", "kim", "envoy", "erdogan"]


def test_a_yes_answers_no_when() -> None:
    """A fact serves only the kinds of question that its answer can stand behind."""
    told = Fact("told", "yes-no", "No, it confirmed it on April 28", 1, "April 28", ("Did it?",))
    dated = Fact("dated", "when", "April 28", 1, "April 28", ("When?",))
    assert not may_serve("when", told)
    assert may_serve("yes-no", told)
    assert may_serve("when", dated)
    assert may_serve("how-many", dated)
    assert not may_serve("why", dated)
    assert may_serve(None, told)
