"""Replies as Discord messages: the answer first, its words marked in the line, never beyond the limits."""

from __future__ import annotations

import re

import discord
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.answering.reply import Answer, DidYouMean, NotInStory, OffTopic, Reply, Smalltalk, Source, Suggestion
from bot.surfaces.discord.buttons import buttons
from bot.surfaces.discord.render import MAX_CONTENT, content, escaped, quoted, with_neighbours

TITLE = "North Korea confirms it sent troops to Russia"
TEXT = "North Korea on April 28 officially confirmed it."
ANSWER = Answer("April 28", (Source("story", 3, TEXT, "April 28", TEXT.index("April 28")),), "when", 90.0)
ASKED = (Suggestion("When was it?", "when", 3), Suggestion("Where was it?", "where", 5))


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (ANSWER, f"**April 28**\n> North Korea on **April 28** officially confirmed it.\n-# Line 3 of “{TITLE}”"),
        (DidYouMean(ASKED, 50.0), "Did you mean:\n- When was it?\n- Where was it?"),
        (
            NotInStory("The story gives no number.", ASKED),
            "The story gives no number.\nWhat it does say something about:\n- When was it?\n- Where was it?",
        ),
        (NotInStory("The story doesn't say."), "The story doesn't say."),
        (OffTopic(), "That is not what this story is about."),
        (Smalltalk("thanks", TITLE), "You're welcome. Ask on whenever you like."),
    ],
)
def test_a_reply_as_text(reply: Reply, shown: str) -> None:
    """The whole text, as sent but for the backslashes."""
    assert re.sub(r"\\([^\w\s])", r"\1", content(reply, TITLE)) == shown


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("[a](http://a) and [b](http://b)", r"\[a](http://a) and \[b](http://b)"),
        ("[a](http://a)[b](http://b)", r"\[a](http://a)\[b](http://b)"),
        ("*a* __b__ ~~c~~ ||d|| `e` \\", r"\*a\* \_\_b\_\_ \~\~c\~\~ \|\|d\|\| \`e\` \\"),
        ("> a\n# b\n- c", r"\> a # b - c"),
        ("# a", r"\# a"),
        ("-# a-b", r"\-# a-b"),
        ("(see [https://a.org/b_c_(d)~e])", r"(see \[https://a.org/b_c_(d)~e])"),
        ("@everyone <@12345678901234567> <#1>", "@\u200beveryone \\<@\u200b12345678901234567> \\<#1>"),
        ("https://a.org/b\\[c](http://d)**", r"https://a.org/b\\\[c](http://d)\*\*"),
    ],
)
def test_text_is_shown_as_it_is(text: str, sent: str) -> None:
    """No masked link, no mention and no other markup; a link works still."""
    assert escaped(text) == sent


def test_a_wrong_premise_opens_with_what_the_story_says() -> None:
    """Then the answer, in bold as ever."""
    corrected = Answer("April 28", ANSWER.sources, "when", 90.0, corrects=True)
    assert content(corrected, TITLE).startswith("The story says: **April 28**\n> ")


def test_the_marked_words_of_a_long_sentence_are_shown() -> None:
    """What is left out is left out around them, and says so."""
    text = "a " * 800 + "April 28" + " b" * 800
    line = quoted(Source("story", 3, text, "April 28", text.index("April 28")), TITLE).splitlines()[0]
    assert line.startswith("> …")
    assert line.endswith("…")
    assert "**April 28**" in line


def test_the_words_are_marked_where_they_were_read() -> None:
    """Not where the same letters stand first."""
    assert "> 13 men, **3** women\n" in quoted(Source("story", 3, "13 men, 3 women", "3", 8), TITLE)


def test_context_has_the_line_between_its_neighbours() -> None:
    """Blank lines are passed over; their numbers count."""
    assert with_neighbours(("one", "", "two", "", "three"), 3) == "Line 1: one\n\nLine 3: **two**\n\nLine 5: three"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=900), min_size=1, max_size=4))
def test_no_lines_break_the_context(lines: list[str]) -> None:
    """Within the limit, with the whole of its markup, however much of it must be escaped."""
    numbers = [number for number, line in enumerate(lines, 1) if line.strip()]
    for at, number in enumerate(numbers):
        text = with_neighbours(tuple(lines), number)
        assert len(text) <= MAX_CONTENT
        assert re.findall(r"^Line (\d+): ", text, re.MULTILINE) == [str(n) for n in numbers[max(0, at - 1) : at + 2]]


def test_context_of_lines_full_of_markup_fits() -> None:
    """The marked line stays marked."""
    text = with_neighbours(("*" * 900,) * 3, 2)
    assert len(text) <= MAX_CONTENT
    assert re.search(r"^Line 2: \*\*(?:\\\*)+…\*\*$", text, re.MULTILINE)


def test_three_questions_have_three_sources() -> None:
    """Every answer of a message stands with its own line."""
    sources = tuple(Source("story", line, f"On line {line}.", f"line {line}", 3) for line in (1, 2, 3))
    text = content(Answer("one; two; three", sources, "when", 90.0), TITLE)
    assert re.findall(r"Line (\d) of", text) == ["1", "2", "3"]


def test_a_long_answer_is_cut_within_its_markup() -> None:
    """What is cut says so, and stays bold."""
    text = content(Answer("word " * 900, ANSWER.sources, "when", 90.0), TITLE)
    assert text.split("\n")[0].endswith("word…**")
    assert "\n> North Korea on **April 28** " in text


MARKUP = (
    "@everyone",
    "@here",
    "<@1>",
    "<@12345678901234567>",
    "<#7100>",
    "[a](http://b)",
    "**",
    "`",
    "\\",
    "\n> ",
    "\n",
)
words = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=600),
    st.lists(st.one_of(st.sampled_from(MARKUP), st.text(max_size=5)), max_size=60).map("".join),
)


@given(before=words, marked=words, after=words, answer=words, title=words, corrects=st.booleans())
def test_no_text_at_all_breaks_a_reply(
    before: str, marked: str, after: str, answer: str, title: str, corrects: bool
) -> None:
    """Within Discord's limit, on the lines it should be, pinging nobody, with no markup but the bot's own."""
    source = Source("story", 3, before + marked + after, marked, len(before))
    text = content(Answer(answer, (source, source), "fact", 1.0, corrects, drafted=True), title)
    assert len(text) <= MAX_CONTENT
    assert not re.search(r"@(?:everyone|here|\d{17})", text)
    bare = re.sub(r"\\.", "", text)
    assert not re.search(r"[\[<`|]", bare)
    assert bare.count("*") in (4, 8, 12), "bold is the answer, and its words in each line that says more"
    assert len(re.findall(r"^> ", text, re.MULTILINE)) == 2


@given(st.lists(st.tuples(words.filter(str.strip), st.text(min_size=1, max_size=20)), max_size=3))
def test_no_suggestion_breaks_the_buttons(asked: list[tuple[str, str]]) -> None:
    """Labels and what the buttons do stay within Discord's limits, and no button is there twice."""
    reply = DidYouMean(tuple(Suggestion(question, fact, 1) for question, fact in asked), 1.0)
    view = buttons("story" * 30, reply, 2**63)
    assert len(content(reply, "x")) <= MAX_CONTENT
    rows = view.to_components() if view else []
    made = [button for row in rows for button in row["components"]]
    assert len({button["custom_id"] for button in made}) == len(made) == len({fact for _, fact in asked})
    assert all(0 < len(button["label"]) <= 80 and len(button["custom_id"]) <= 100 for button in made)


def test_an_answer_s_buttons_say_in_words_what_they_do() -> None:
    """Context, and another try; nothing by an emoji or a colour alone."""
    view = buttons("story", ANSWER, 2000)
    assert view is not None
    (row,) = view.to_components()
    assert [button["label"] for button in row["components"]] == ["Show context", "Not what I asked"]
    assert {button["style"] for button in row["components"]} == {discord.ButtonStyle.secondary.value}
