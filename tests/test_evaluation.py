"""The batch test: verdicts, figures, floors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.answering.reply import Answer, DidYouMean, NotInStory, Reply, Smalltalk, Source, Suggestion
from bot.answering.responder import Responder
from bot.errors import UsageError
from bot.evaluation import Expected, Judged, Share, figures, judge, read_conversations, risk_coverage, run_evaluation

SAYS = "It struck the pier on Thursday at noon."
ANSWER = Answer("Thursday", (Source("ferry", 3, SAYS),), "when", 90.0)
ELSEWHERE = Answer("nine", (Source("ferry", 5, "Nine were hurt."),), "hurt", 70.0)
OFFER = DidYouMean((Suggestion("When?", "when", 3), Suggestion("Where?", "where", 5)), 40.0)
REFUSAL = NotInStory("The story doesn't say.")


def expected(kind: str, *, lines: tuple[int, ...] = (3,), keys: tuple[str, ...] = ("thursday",)) -> Expected:
    """A row of one kind."""
    return Expected("when?", kind, frozenset(lines), keys, "", "plain")


@pytest.mark.parametrize(
    ("kind", "reply", "verdict"),
    [
        ("answerable", ANSWER, "right"),
        ("answerable", ELSEWHERE, "wrong"),
        ("answerable", OFFER, "offered"),
        ("answerable", REFUSAL, "silent"),
        ("unanswerable", REFUSAL, "right"),
        ("unanswerable", OFFER, "right"),
        ("unanswerable", ANSWER, "wrong"),
        ("false_premise", REFUSAL, "right"),
        ("false_premise", ANSWER, "right"),
        ("false_premise", ELSEWHERE, "wrong"),
        ("smalltalk", Smalltalk("greeting", "Ferry"), "right"),
        ("smalltalk", REFUSAL, "wrong"),
    ],
)
def test_verdicts(kind: str, reply: Reply, verdict: str) -> None:
    """Each kind of row has its own right reply."""
    assert judge(expected(kind), reply) == verdict


def test_an_answer_from_the_right_line_with_other_words_is_cited() -> None:
    """The line alone is not the answer."""
    assert judge(expected("answerable", keys=("noon",)), ANSWER) == "cited"
    spanned = Expected("when?", "answerable", frozenset({3}), (), "on Thursday", "plain")
    assert judge(spanned, ANSWER) == "right"


def test_figures_count_abstentions() -> None:
    """A refusal lowers `right`, never precision; nothing is dropped."""
    rows: list[tuple[str, Reply]] = [
        ("answerable", ANSWER),
        ("answerable", REFUSAL),
        ("unanswerable", ANSWER),
        ("unanswerable", REFUSAL),
    ]
    judged = [Judged(expected(kind), reply, judge(expected(kind), reply)) for kind, reply in rows]
    shares = figures(judged)
    assert (shares["right"], shares["refused"]) == (Share(1, 2), Share(1, 2))
    assert (shares["precision"], shares["coverage"]) == (Share(1, 2), Share(2, 4))
    assert risk_coverage(judged) == [(0.25, 0.0), (0.5, 0.5)]


def test_the_interval_is_wilsons() -> None:
    """45 of 50: the values of the published formula."""
    low, high = Share(45, 50).interval
    assert (round(low, 3), round(high, 3)) == (0.786, 0.957)
    assert Share(0, 0).interval == (0.0, 0.0)


def test_a_floor_that_is_missed_fails(
    seed_responder: Responder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1 and the figure named; 0 where the floor holds."""
    path = tmp_path / "rows.jsonl"
    rows = [
        {"message": "When did North Korea confirm the deployment?", "kind": "answerable", "lines": [3],
         "keys": ["april 28"], "style": "plain"},
        {"message": "hi", "kind": "smalltalk"},
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    assert run_evaluation([(seed_responder, [path])], floors=["right=1", "manners=1"]) == 0
    assert run_evaluation([(seed_responder, [path])], floors=["refused=0.5"]) == 1
    assert "refused is 0.000, below its floor 0.5" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"message": 1}',
        '{"message": "x", "kind": "odd"}',
        '{"message": "x", "kind": "answerable", "keys": ["("]}',
        '{"message": "x", "kind": "answerable", "keys": "April 28"}',
        '{"message": "x", "kind": "answerable", "lines": 3}',
    ],
)
def test_broken_rows_are_told(tmp_path: Path, text: str) -> None:
    """One sentence that names the file."""
    path = tmp_path / "rows.jsonl"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=r"rows\.jsonl"):
        read_conversations(path)


@pytest.mark.parametrize("floor", ["right", "right=x", "right=2", "beauty=.5", "right=nan"])
def test_a_wrong_floor_is_told(seed_responder: Responder, tmp_path: Path, floor: str) -> None:
    """A floor that would never bite is an error."""
    path = tmp_path / "rows.jsonl"
    path.write_text('{"message": "hi", "kind": "smalltalk"}', "utf-8")
    with pytest.raises(UsageError, match="--floor"):
        run_evaluation([(seed_responder, [path])], floors=[floor])
