"""Fact tables: what loads, what does not, and how it is told."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import TableError
from bot.story.article import read_article
from bot.story.draft import draft_table
from bot.story.library import check_table, load_story
from bot.story.lint import lint
from tests.conftest import SEED

ARTICLE = "The bridge at Varna opened on May 3.\n\nMayor Ana Petrova said it cost 12 million.\n"


def table(tmp_path: Path, body: str) -> Path:
    """A table with `body` behind a correct [story] section, beside its article."""
    article = tmp_path / "bridge.txt"
    article.write_text(ARTICLE, "utf-8")
    digest = read_article(article).sha256
    path = tmp_path / "bridge.toml"
    path.write_text(f'[story]\ntitle = "Bridge"\narticle = "bridge.txt"\nsha256 = "{digest}"\n{body}', "utf-8")
    return path


def fact(**changes: object) -> str:
    """A correct [[fact]] row with some values changed, as TOML."""
    row: dict[str, object] = {
        "id": "opened-when", "asks": "when", "answer": "May 3", "line": 1, "quote": "opened on May 3",
        "questions": ["When did the bridge open?"], "status": "reviewed", **changes,
    }  # fmt: skip
    return "\n".join(["[[fact]]", *(f"{key} = {toml(value)}" for key, value in row.items())]) + "\n"


def toml(value: object) -> str:
    """A value as TOML."""
    return tomlkit.item(value).as_string()


def test_the_seed_table_loads_without_a_fault() -> None:
    """The shipped story has a reviewed table of some eighty facts and thirty gaps, and its article is as given."""
    article, faults = check_table(SEED.with_suffix(".toml"))
    assert faults == []
    assert article is not None
    loaded = load_story(SEED)
    assert len(loaded.table.facts) >= 80
    assert len(loaded.table.gaps) >= 30
    assert all(row.status == "reviewed" for row in loaded.table.facts)
    full = {number for number, line in enumerate(article.lines, 1) if line.strip()}
    assert {row.line for row in loaded.table.facts} == full


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    """Fourteen faults give fourteen sentences, each with the file and the row."""
    body = (
        '[names]\n"Sofia" = ["capital"]\n'
        + fact(id="quote", quote="opened in May", questions=["q1"])
        + fact(id="number", answer="May 4", questions=["q2"])
        + fact(id="line", line=9, questions=["q3"])
        + fact(id="asks", asks="which", questions=["q4"])
        + fact(id="twice", questions=["q5"])
        + fact(id="twice", questions=["q6"])
        + fact(id="question", questions=["Q5?"])
        + fact(id="Bad Id", questions=["q7"])
        + fact(id="status", status="done", questions=["q8"])
        + fact(id="count", answer="Fourteen million", line=3, quote="12 million", questions=["q10"])
        + fact(id="strange", quote="opened in May", colour="red", questions=["q11"])
        + fact(id="date", quote=4, questions=["q12"])
        + '[[gap]]\nid = "empty"\nquestions = ["q9"]\nsays = ""\n'
    )
    _, faults = check_table(table(tmp_path, body))
    told = [str(fault) for fault in faults]
    for row, rule in (
        ("names 'Sofia'", "does not hold this name"),
        ("fact quote", "not verbatim on line 1"),
        ("fact number", "'4' of the answer does not stand on line 1"),
        ("fact line", "line 9 is not in the article"),
        ("fact asks", "asks is 'which'"),
        ("fact twice", "the id stands twice"),
        ("fact question", "also stands in fact twice"),
        ("fact Bad Id", "small letters"),
        ("fact status", "status is 'done'"),
        ("fact count", "'Fourteen' of the answer does not stand on line 3"),
        ("fact strange", "colour is not a key"),
        ("fact strange", "not verbatim on line 1"),
        ("fact date", "quote must be text, in quotes"),
        ("gap empty", "says is empty"),
    ):
        assert any(line.startswith(f"bridge.toml: {row}: ") and rule in line for line in told), (row, told)
    assert len(told) == 14


def test_what_story_shows_has_a_length(tmp_path: Path) -> None:
    """Source and date stand in a message beside the title."""
    path = table(tmp_path, fact())
    path.write_text(path.read_text("utf-8").replace("[story]\n", f'[story]\nsource = "{"x" * 201}"\n'), "utf-8")
    (fault,) = check_table(path)[1]
    assert "source is longer than 200 characters" in str(fault)


def test_a_table_of_another_article_does_not_load(tmp_path: Path) -> None:
    """When the article changes, the digest tells, and loading raises with that fault."""
    path = table(tmp_path, fact())
    load_story(path)
    (tmp_path / "bridge.txt").write_text(ARTICLE.replace("12", "13"), "utf-8")
    with pytest.raises(TableError, match="sha256 is not the article's"):
        load_story(path)


def test_an_alias_of_a_name_on_the_line_may_stand_in_an_answer(tmp_path: Path) -> None:
    """An answer may use another word for a name that its line holds, and no other name."""
    names = '[names]\n"Ana Petrova" = ["Petrova the Builder"]\n'
    good = fact(id="said-who", asks="who", answer="Petrova the Builder", line=3, quote="Mayor Ana Petrova")
    assert check_table(table(tmp_path, names + good))[1] == []
    assert len(check_table(table(tmp_path, good))[1]) == 1


def test_a_loaded_table_cannot_be_changed() -> None:
    """Tables and their rows are frozen, and the names are read-only."""
    loaded = load_story(SEED).table
    with pytest.raises(dataclasses.FrozenInstanceError):
        loaded.title = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        loaded.names["x"] = ()  # type: ignore[index]


def test_a_file_that_is_not_toml_is_one_fault(tmp_path: Path) -> None:
    """Broken TOML is told with its place, and nothing is loaded."""
    path = tmp_path / "x.toml"
    path.write_text("[story\n", "utf-8")
    _, (fault,) = check_table(path)
    assert "is not valid TOML" in str(fault)
    assert "line 1" in str(fault)


KEYS = st.sampled_from(["story", "names", "fact", "gap", "id", "line", "quote", "questions", "answer"])
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(DOCUMENTS)
def test_any_document_is_linted_without_an_exception(document: object) -> None:
    """Whatever an editor's file holds, the lint gives sentences."""
    faults = lint("x.toml", document if isinstance(document, dict) else {}, read_article(SEED))
    assert faults
    assert all(str(fault).startswith("x.toml: ") for fault in faults)


def test_an_article_without_a_table_is_drafted(tmp_path: Path) -> None:
    """The draft covers every sentence, is marked as a draft, and keeps the rules that a reviewed table keeps."""
    article = tmp_path / "north.txt"
    shutil.copy(SEED, article)
    story = load_story(article)
    assert story.drafted
    quotes = {row.quote for row in story.table.facts}
    assert {s.text for s in story.article.sentences} <= quotes
    drafted = draft_table(story.article, "north.txt")
    document = {
        "story": {"title": drafted.title, "article": "north.txt", "sha256": drafted.sha256},
        "fact": [{**dataclasses.asdict(row), "questions": list(row.questions)} for row in drafted.facts],
    }
    assert lint("north.toml", document, story.article) == []
