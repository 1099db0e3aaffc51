"""Find the gate's weights and thresholds by cross-validation over stories, and write bot/models/gate.json.

python -m training.calibrate --data TRAIN --tables seeds/*.txt [--write bot/models/gate.json]

Only articles that the reader was not trained on are used. A drafted table is judged on all their rows. A reviewed
table is made of two thirds of their rows (answerable ones become facts, unanswerable ones gaps), judged on the rest.
Those tables are thin; so tables that an editor reviewed are judged too, by their own questions, each left out in turn.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bot.answering.asks import asked
from bot.answering.candidates import SIGNAL_NAMES, Candidate, Signals, word_overlap
from bot.answering.encoder import Encoder
from bot.answering.gate import Gate, Gates
from bot.answering.matcher import Matcher, Models
from bot.answering.passages import Passage
from bot.answering.reader import UNREAD, Reader
from bot.answering.text import clean, words
from bot.story.library import Story, load_story
from bot.story.table import Fact, FactTable, Gap
from training.examples import Row, is_held_out, read_json_rows, read_table, same_fact

FOLDS = 11
ROUNDS = 3  # after the second the choice of a candidate changes for one row in a hundred
PARTS = 3  # a story's rows in three parts: two make the table, the third asks
RIDGE = 1.0  # of standardised weights: a thousand rows determine eighteen weights well, this tames twins
# How far a candidate leads others was left out for reviewed tables: in a table with several facts a line, close rivals
# tell nothing, and weights found on thin tables refused what rich ones say.
DRAFTED = ("rank", "lead", "reads", "span", "unknown", "type_misfit", "corrects", "echo")
REVIEWED = tuple(name for name in SIGNAL_NAMES if name not in ("lead", "span"))
# Thresholds. Right and refused together are at their best over a wide range (Youden's index, 1950, changes by .05 from
# .3 to .6 for drafts); its lower half answers more. Reviewed tables are judged by questions that were left out and that
# their editor wrote to differ, so their probabilities come out too low for readers' messages.
ANSWER = {"drafted": 0.32, "reviewed": 0.2}
SAME_ANSWER = 0.5  # F1 of the words: "on April 28" and "April 28" are one answer
OVERLAP_RIGHT = 0.4  # an answer with this F1 to the marked span holds its key in all but a few rows


@dataclass(frozen=True)
class Judged:
    """A message's candidates as signals, which of them are right, and whether an answer is due."""

    story: str
    kind: str
    signals: NDArray[np.float64]
    right: NDArray[np.bool_]


def is_right(row: Row, candidate: Candidate) -> bool:
    """Whether a candidate answers a row, or puts a false premise right."""
    if row.kind == "false_premise":
        return candidate.fact.line == row.line
    if row.kind != "answerable" or candidate.fact.line != row.line:
        return False
    gold, given = words(row.span), words(candidate.answer)
    return word_overlap(gold, given) >= OVERLAP_RIGHT or " ".join(gold) in " ".join(given)


def judged_message(matcher: Matcher, story: str, message: str, kind: str, right: Callable[[Candidate], bool]) -> Judged:
    """The candidates of a message with their signals."""
    found = matcher.match(matcher.normalised(clean(message))).candidates
    signals = np.array([[getattr(c.signals, name) for name in SIGNAL_NAMES] for c in found])
    return Judged(story, kind, signals, np.array([right(c) for c in found]))


def judged(matcher: Matcher, row: Row) -> Judged:
    """The candidates of a row's message with their signals."""
    return judged_message(matcher, row.story, row.message, row.kind, functools.partial(is_right, row))


def simulated(story: Story, rows: Sequence[Row]) -> Story:
    """The story with a table made of rows: those with the same answer become the questions of one fact."""
    groups: list[list[Row]] = []
    gaps: list[Gap] = []
    for row in rows:
        if row.kind == "answerable" and row.span:
            same = next((group for group in groups if same_fact(group[0], row)), None)
            if same is None:
                groups.append([row])
            else:
                same.append(row)
        elif row.kind == "unanswerable":
            gaps.append(Gap(f"gap-{len(gaps)}", (row.message,), "The story does not say."))
    facts = []
    for number, group in enumerate(groups):
        first, asks = group[0], asked(group[0].message) or "what"
        questions = tuple(dict.fromkeys(row.message for row in group))
        facts.append(Fact(f"fact-{number}", asks, first.span, first.line, first.span, questions, "reviewed"))
    table = FactTable(story.title, story.table.article, story.table.sha256, tuple(facts), tuple(gaps))
    return Story(story.name, story.article, table, drafted=False)


def fold_of(message: str) -> int:
    """The part of a story's rows that a message belongs to, by a hash: the same on every machine."""
    return int(hashlib.sha256(message.encode()).hexdigest()[:8], 16) % PARTS


def logistic(features: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights (bias last) of a ridge logistic regression, by Newton's method on standardised features."""
    mean, scale = features.mean(0), features.std(0) + 1e-9
    x = np.hstack([(features - mean) / scale, np.ones((len(features), 1))])
    penalty = np.diag([RIDGE] * features.shape[1] + [0.0])
    weights = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (p - labels) + penalty @ weights
        weights -= np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + penalty, gradient)
    plain = weights[:-1] / scale
    return np.append(plain, weights[-1] - plain @ mean)


def columns(names: Sequence[str]) -> list[int]:
    return [SIGNAL_NAMES.index(name) for name in names]


def fit(rows: Sequence[Judged], names: Sequence[str]) -> NDArray[np.float64]:
    """Weights (bias last) of how sure a row's best candidate is, where the same weights choose the best.

    First over all candidates, which is a start; then over the chosen ones, until the choice has settled.
    """
    at = columns(names)
    kept = [row for row in rows if len(row.signals)]
    weights = logistic(np.vstack([r.signals[:, at] for r in kept]), np.concatenate([r.right for r in kept]))
    for _ in range(ROUNDS):
        tops = [(row, int((row.signals[:, at] @ weights[:-1]).argmax())) for row in kept]
        features = np.array([row.signals[top, at] for row, top in tops])
        weights = logistic(features, np.array([bool(row.right[top]) for row, top in tops]))
    return weights


def best(row: Judged, weights: NDArray[np.float64], names: Sequence[str]) -> tuple[float, bool]:
    """How sure the best candidate of a row is, and whether it is right."""
    logits = row.signals[:, columns(names)] @ weights[:-1] + weights[-1]
    top = int(logits.argmax())
    return float(1 / (1 + np.exp(-logits[top]))), bool(row.right[top])


def cross_validated(rows: Sequence[Judged], names: Sequence[str]) -> list[tuple[Judged, float, bool]]:
    """Every row's best candidate by weights fitted on other stories."""
    stories = sorted({row.story for row in rows})
    out = []
    for fold in range(FOLDS):
        held = set(stories[fold::FOLDS])
        weights = fit([row for row in rows if row.story not in held], names)
        out += [(row, *best(row, weights, names)) for row in rows if row.story in held]
    return out


def figures(scored: Sequence[tuple[Judged, float, bool]], threshold: float) -> dict[str, float]:
    """right, refused, premise, precision at a threshold."""

    def share(kinds: tuple[str, ...], good: Callable[[float, bool], bool]) -> float:
        hits = [good(p, ok) for row, p, ok in scored if row.kind in kinds]
        return sum(hits) / max(1, len(hits))

    answered = [ok for row, p, ok in scored if p >= threshold]
    return {
        "right": share(("answerable",), lambda p, ok: p >= threshold and ok),
        "refused": share(("unanswerable", "off_topic"), lambda p, _: p < threshold),
        "premise": share(("false_premise",), lambda p, ok: p < threshold or ok),
        "precision": sum(answered) / max(1, len(answered)),
    }


def report(name: str, rows: Sequence[Judged], names: Sequence[str]) -> dict[str, object]:
    scored = cross_validated(rows, names)
    due = np.array([p for row, p, _ in scored if row.kind == "answerable"])
    none = np.array([p for row, p, _ in scored if row.kind in ("unanswerable", "off_topic")])
    area = float((due[:, None] > none[None, :]).mean())
    print(f"{name}: {len(rows)} rows of {len({r.story for r in rows})} stories, refusal AUC {area:.3f}")
    chosen = ANSWER[name]
    for threshold in sorted({*np.arange(0.2, 0.81, 0.1).round(2).tolist(), chosen}):
        told = "  ".join(f"{k} {v:.3f}" for k, v in figures(scored, threshold).items())
        print(f"  {'*' if threshold == chosen else ' '} {threshold:.2f}  {told}")
    weights = fit(rows, names)
    picked = [ok for row, _, ok in scored if row.kind == "answerable"]
    able = [bool(row.right.any()) for row, _, _ in scored if row.kind == "answerable"]
    print(f"  right candidate among them {sum(able) / len(able):.3f}, chosen {sum(picked) / len(picked):.3f}")
    return {
        "weights": {n: round(float(w), 4) for n, w in zip(names, weights[:-1], strict=True)},
        "bias": round(float(weights[-1]), 4),
        "answer": chosen,
        # Offer where an answer would be right at least half as often as at the threshold for answering.
        "offer": round(chosen / 2, 2),
    }


@functools.cache
def models() -> Models:
    """The shipped models, once a process, with gates that decide nothing."""
    open_gate = Gate({}, 0.0, 0.0, 0.0)
    return Models(Encoder(), Reader(), Gates(open_gate, open_gate))


def judged_story(data: Path, name: str) -> tuple[list[Judged], list[Judged]]:
    """All rows of a story judged against its draft, and against tables made of the other writer's rows."""
    story = load_story(data / "stories" / f"{name}.txt")
    first, second = (read_json_rows(data / folder / f"{name}.jsonl") for folder in ("rows", "rows2"))
    matcher = Matcher(story, models())
    drafted = [judged(matcher, row) for row in (*first, *second)]
    reviewed = []
    for part in range(PARTS):
        made = simulated(story, [row for row in (*first, *second) if fold_of(row.message) != part])
        matcher = Matcher(made, models())
        asking = [row for row in (*first, *second) if fold_of(row.message) == part]
        reviewed += [judged(matcher, row) for row in asking if row.kind != "answerable" or is_told(row, made)]
    return drafted, reviewed


def judged_written(data: Path, path: Path) -> list[Judged]:
    """All rows of a story judged against a table that another hand wrote, who had not seen them."""
    name = path.stem
    story = load_story(data / "stories" / f"{name}.txt")
    facts, gaps = read_table(path)
    made = replace(story, table=replace(story.table, facts=tuple(facts), gaps=tuple(gaps)), drafted=False)
    matcher = Matcher(made, models())
    rows = [row for folder in ("rows", "rows2") for row in read_json_rows(data / folder / f"{name}.jsonl")]
    return [judged(matcher, row) for row in rows if row.kind != "answerable" or is_told(row, made)]


def without(table: FactTable, part: int) -> FactTable:
    """A reviewed table without a part of its questions, and without some of its gaps altogether."""
    facts = [
        replace(fact, questions=kept)
        for fact in table.facts
        if (kept := tuple(q for q in fact.questions if fold_of(q) != part))
    ]
    gaps = [
        replace(gap, questions=kept)
        for gap in table.gaps
        if fold_of(gap.id) != part and (kept := tuple(q for q in gap.questions if fold_of(q) != part))
    ]
    return replace(table, facts=tuple(facts), gaps=tuple(gaps))


def judged_table(path: Path) -> list[Judged]:
    """A reviewed table judged by its own questions, each asked while it is left out."""
    story = load_story(path)
    told: list[Judged] = []
    for part in range(PARTS):
        matcher = Matcher(replace(story, table=without(story.table, part)), models())
        told += [
            judged_message(matcher, story.name, question, "answerable", functools.partial(is_same, fact))
            for fact in story.table.facts
            for question in fact.questions
            if fold_of(question) == part
        ]
        told += [
            judged_message(matcher, story.name, question, "unanswerable", lambda _: False)
            for gap in story.table.gaps
            for question in gap.questions
            if part in (fold_of(question), fold_of(gap.id))
        ]
    return told


def is_same(fact: Fact, candidate: Candidate) -> bool:
    """Whether a candidate says what a fact says, with the same line."""
    one, other = words(fact.answer), words(candidate.answer)
    alike = word_overlap(one, other) >= SAME_ANSWER or " ".join(one) in " ".join(other)
    return candidate.fact.line == fact.line and alike


def is_told(row: Row, story: Story) -> bool:
    """Whether a fact of a story's table answers a row."""
    return any(
        is_right(row, Candidate(fact, Passage(fact.line, 0, ""), fact.answer, "", Signals(), UNREAD))
        for fact in story.table.facts
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--keep", type=Path, help="keep the judged rows here and take them from here")
    parser.add_argument("--tables", type=Path, nargs="*", default=[], help="articles with a reviewed table")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    if options.keep and options.keep.exists():
        drafted, reviewed = pickle.loads(options.keep.read_bytes())  # noqa: S301 - our own file
    else:
        names = sorted(p.stem for p in (options.data / "stories").glob("*.txt") if is_held_out(p.stem))
        with ProcessPoolExecutor(options.jobs) as pool:
            pairs = list(pool.map(judged_story, [options.data] * len(names), names))
            tables = list(pool.map(judged_table, options.tables))
        drafted = [told for one, _ in pairs for told in one]
        reviewed = [told for one in (*(r for _, r in pairs), *tables) for told in one]
        if options.keep:
            options.keep.write_bytes(pickle.dumps((drafted, reviewed)))
    gates = {"drafted": report("drafted", drafted, DRAFTED), "reviewed": report("reviewed", reviewed, REVIEWED)}
    if options.write:
        options.write.write_text(json.dumps(gates, indent=1) + "\n", "utf8")


if __name__ == "__main__":
    main()
