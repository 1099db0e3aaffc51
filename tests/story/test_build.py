"""Building tables: drafts, and updates that leave an editor's words alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.errors import UsageError
from bot.story.build import build
from bot.story.library import check_table, load_story

FIRST = "The ferry Ada sank on 4 March. Nobody was hurt.\n\n***\n\nThe owner, Lim Ko, blamed fog.\n"


def test_a_new_table_passes_the_lint(tmp_path: Path) -> None:
    """A drafted table loads as it is."""
    article = tmp_path / "ferry.txt"
    article.write_text(FIRST, "utf-8")
    report = build(article)
    assert report.path == tmp_path / "ferry.toml"
    assert len(report.added) >= 3
    assert check_table(report.path)[1] == []


def test_times_and_quotations_pass_the_lint(tmp_path: Path) -> None:
    """A clock time is one number, and the same words with straight and curly marks are one question."""
    article = tmp_path / "vote.txt"
    article.write_text(
        'The vote began at 10:30 on Monday.\n\nHe said “stop the war now”.\n\nHe said "stop the war now".\n', "utf-8"
    )
    assert check_table(build(article).path)[1] == []


def test_a_table_is_a_draft_until_somebody_has_changed_a_row(tmp_path: Path) -> None:
    """What `build` writes answers as the article alone does; a row of an editor's is matched by its questions."""
    article = tmp_path / "ferry.txt"
    article.write_text(FIRST, "utf-8")
    path = build(article).path
    assert load_story(article).drafted
    path.write_text(path.read_text("utf-8").replace('status = "draft"', 'status = "reviewed"', 1), "utf-8")
    assert not load_story(article).drafted


def test_an_update_keeps_comments_and_words_and_follows_moved_lines(tmp_path: Path) -> None:
    """After an edit of the article the table loads again: rows moved, new sentences drafted, the rest untouched."""
    article = tmp_path / "ferry.txt"
    article.write_text(FIRST, "utf-8")
    path = build(article).path
    text = path.read_text("utf-8").replace('status = "draft"', 'status = "reviewed"  # read by me', 1)
    path.write_text(text, "utf-8")
    article.write_text("A photo of the ferry.\n\n" + FIRST, "utf-8")
    assert len(check_table(path)[1]) > 1
    report = build(article)
    assert report.lost == ()
    assert len(report.moved) == text.count("[[fact]]")
    assert [row for row in report.added if row.startswith("line-1-")] == list(report.added) != []
    assert "# read by me" in path.read_text("utf-8")
    assert check_table(path)[1] == []


def test_rows_whose_quote_is_gone_are_kept_and_named(tmp_path: Path) -> None:
    """A row that the article no longer supports stays for the editor, and is reported."""
    article = tmp_path / "ferry.txt"
    article.write_text(FIRST, "utf-8")
    path = build(article).path
    article.write_text(FIRST.replace("blamed fog", "blamed rocks"), "utf-8")
    report = build(article)
    assert len(report.lost) == 1
    assert "blamed fog" in path.read_text("utf-8")


def test_a_gap_that_names_a_line_of_a_changed_article_is_named(tmp_path: Path) -> None:
    """Nothing tells where its line has gone; the next build, of the same article, is silent."""
    article = tmp_path / "ferry.txt"
    article.write_text(FIRST, "utf-8")
    path = build(article).path
    gap = '\n[[gap]]\nid = "depth"\nquestions = ["How deep?"]\nsays = "The story does not say."\nline = 1\n'
    path.write_text(path.read_text("utf-8") + gap, "utf-8")
    assert build(article).uncertain == ()
    article.write_text("A photo of the ferry.\n\n" + FIRST, "utf-8")
    assert build(article).uncertain == ("depth",)
    assert build(article).uncertain == ()


def test_a_table_is_no_article(tmp_path: Path) -> None:
    """Built from by mistake, it stays as it is."""
    article = tmp_path / "ferry.txt"
    article.write_text(FIRST, "utf-8")
    path = build(article).path
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"ferry\.toml is no article"):
        build(path)
    assert path.read_bytes() == before


def test_others_can_read_a_table(tmp_path: Path) -> None:
    """The bot may run as another user than its editor; whom an editor shut out stays out."""
    article = tmp_path / "ferry.txt"
    article.write_text(FIRST, "utf-8")
    path = build(article).path
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o640)
    build(article)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_table_that_is_not_toml_is_left_alone(tmp_path: Path) -> None:
    """A broken table is refused with a sentence, and nothing of it is lost."""
    article, path = tmp_path / "ferry.txt", tmp_path / "ferry.toml"
    article.write_text(FIRST, "utf-8")
    path.write_text("[story", "utf-8")
    with pytest.raises(UsageError, match="is not valid TOML"):
        build(article)
    assert path.read_text("utf-8") == "[story"
