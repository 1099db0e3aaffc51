"""Articles: the lines of a page, and the sentences of a line."""

from __future__ import annotations

from pathlib import Path

from bot.story.article import read_article, split_sentences

PAGE = """<html><head><title>Big headline | The Paper?</title></head><body><nav><p>Home.</p></nav>
<div>Share this story</div>
<article><header><p>By Ann Lee.</p><h1>Big headline</h1></header>
<div>First &amp; best.<br><br>Second one.</div>
<blockquote><p>“We won.”</p> said Kim</blockquote><h4>What next</h4>
<p>An unclosed one<p>Last<br>words.</p><script>var a = "no.";</script></article>
<footer><p>All rights reserved.</p></footer></body></html>"""


def test_a_page_keeps_all_that_is_told_and_nothing_around_it(tmp_path: Path) -> None:
    """Headline, paragraphs, loose text and the speaker behind a quotation stay; menus, labels and bylines go."""
    path = tmp_path / "page.html"
    path.write_text(PAGE, "utf-8")
    told = [
        "Big headline",
        "First & best. Second one.",
        "“We won.”",
        "said Kim",
        "What next",
        "An unclosed one",
        "Last words.",
    ]
    assert [line for line in read_article(path).lines if line] == told


def test_sentences_begin_with_any_capital() -> None:
    """A sentence may begin with a letter of any alphabet, a digit or a quotation; not in lower case."""
    text = "The talks ended at 5 p.m. on Monday. Šefčovič left. Łukasz stayed! “Why?” he asked. 3 others went. Киев."
    assert [sentence for _, sentence in split_sentences(text)] == [
        "The talks ended at 5 p.m. on Monday.",
        "Šefčovič left.",
        "Łukasz stayed!",
        "“Why?” he asked.",
        "3 others went.",
        "Киев.",
    ]
