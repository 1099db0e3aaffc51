"""Find the gate's weights and thresholds by cross-validation over stories, and write bot/models/gate.json.

python -m training.calibrate --data TRAIN --tables training/data/tables --held training/data/held --write gate.json

Only articles that the models were not trained on are used. A drafted table is judged on all their rows. Reviewed tables
are judged on the rows of the articles that a table was written for, by a hand that had not seen the rows. Follow-ups
are judged behind what was asked and rightly answered before.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import pickle
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice, repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from bot.answering.candidates import SIGNAL_NAMES, Candidate
from bot.answering.conversation import Turn, leans_on_before, next_turn
from bot.answering.encoder import Encoder
from bot.answering.gate import MISFIT, Gate, Gates, Shape
from bot.answering.matcher import Matcher, Models
from bot.answering.reader import Reader
from bot.answering.reply import Answer, Source
from bot.answering.responder import OFF_TOPIC_RANK, OFF_TOPIC_READS, OFF_TOPIC_UNKNOWN, Responder
from bot.answering.text import clean
from bot.evaluation import holds_span
from bot.story.library import Story, load_story
from training.examples import Row, held_out_names, is_held_out, read_piped_rows, read_table, read_talks, rows_of

FOLDS = 11
STEPS, STEP = 30, 0.7  # of Newton's method; damped, the choice comes to rest after twenty
RIDGE = 1.0  # of standardised weights: hundreds of rows determine a dozen weights well, this tames twins
# Boosting: from 100 rounds at .08 to 500 at .05 the right ones at equal refusals differ by a hundredth.
ROUNDS, RATE, LEAF = 300, 0.05, 30
# More is never worse.
RISING = {"rank", "lead", "reads", "span", "share", "akin", "question", "gap_lead", "same", "overlap"}
DRAFTED = (
    "rank", "lead", "reads", "span", "share", "unknown", "type_misfit", "corrects", "echo", "repeats", "names",
    "numbers", "follows",
)  # fmt: skip
REVIEWED = tuple(name for name in SIGNAL_NAMES if name != "share")  # one passage is read
# Thresholds. For drafts the sum of right and refused is best at .55 (1.553; 1.540 at .50, 1.546 at .60). With a table
# it is best at .50 (1.703; 1.685 at .40, 1.698 at .60).
ANSWER = {"drafted": 0.55, "reviewed": 0.50}
# Of follow-ups. With a table the sum is best from .35 to .45 (1.659, 1.652, 1.652; 1.643 at .50), and still more are
# refused there than of other messages; without one it is nearly even from .35 to .60 (1.529 to 1.544).
FOLLOWING = {"drafted": 0.55, "reviewed": 0.40}
STRANGER = "stranger"  # readers ask a bot about anything; rows about the article itself do not show it
STRANGERS = 20  # a story: a third as many as it has rows
RANK, READS, UNKNOWN, TYPE_MISFIT = map(SIGNAL_NAMES.index, ("rank", "reads", "unknown", "type_misfit"))


@dataclass(frozen=True)
class Judged:
    """A message's candidates as signals, which of them are right, and whether an answer is due."""

    story: str
    kind: str
    signals: NDArray[np.float64]
    right: NDArray[np.bool_]
    follows: bool = False


def is_right(row: Row, line: int, answer: str) -> bool:
    """Whether an answer from a line answers a row, or puts a false premise right."""
    if row.kind == "false_premise":
        return line == row.line
    return row.kind == "answerable" and line == row.line and holds_span(answer, row.span)


def signals_of(candidates: Iterable[Candidate]) -> NDArray[np.float64]:
    """The signals of candidates, [candidates, signals]."""
    return np.array([[getattr(c.signals, name) for name in SIGNAL_NAMES] for c in candidates])


def judged_message(matcher: Matcher, story: str, message: str, kind: str, right: Callable[[Candidate], bool]) -> Judged:
    """The candidates of a message with their signals."""
    normalised = matcher.normalised(clean(message))
    found = matcher.match(normalised, matcher.rank(normalised)).candidates
    return Judged(story, kind, signals_of(found), np.array([right(c) for c in found]))


def judged(matcher: Matcher, row: Row) -> Judged:
    """The candidates of a row's message with their signals."""
    return judged_message(matcher, row.story, row.message, row.kind, lambda c: is_right(row, c.fact.line, c.answer))


def judged_talks(responder: Responder, talks: Iterable[Sequence[Row]]) -> list[Judged]:
    """The candidates of follow-ups that lean on what was asked and rightly answered before."""
    story, found = responder.story, list[Judged]()
    for talk in talks:
        turn = Turn("", None)
        for row in talk:
            message = clean(row.message)
            leans = bool(turn.question) and leans_on_before(message)
            steps = responder.respond(message, turn).steps if leans else ()
            if steps and is_fair(row, story):
                candidates = [candidate for candidate, _ in steps[0].probabilities]
                right = np.array([is_right(row, c.fact.line, c.answer) for c in candidates])
                found += [Judged(row.story, row.kind, signals_of(candidates), right, True)] if candidates else []
            turn = next_turn(turn, message, leans, right_answer(story, row))
    return found


def right_answer(story: Story, row: Row) -> Answer | None:
    """The answer that a row should have got."""
    if row.kind != "answerable":
        return None
    fact = next((fact.id for fact in story.table.facts if is_right(row, fact.line, fact.answer)), "")
    text = story.article.line(row.line)
    source = Source(story.name, row.line, text, row.span, text.find(row.span))
    return Answer(row.span, (source,), fact, 100.0, drafted=story.drafted)


def shaped(features: NDArray[np.float64], labels: NDArray[np.bool_], names: Sequence[str]) -> tuple[float, list[Shape]]:
    """Bias and shapes of an additive model: boosted single steps, which never fall where more of a signal is better."""
    rising = [int(name in RISING) for name in names]
    model = HistGradientBoostingClassifier(
        max_leaf_nodes=2, max_iter=ROUNDS, learning_rate=RATE, min_samples_leaf=LEAF, monotonic_cst=rising,
        early_stopping=False, random_state=0,
    ).fit(features, labels)  # fmt: skip
    base = features[:1]
    bias = float(model.decision_function(base)[0])
    return bias, [shape_of(model, base, features[:, column], column, bias) for column in range(features.shape[1])]


def shape_of(
    model: HistGradientBoostingClassifier,
    base: NDArray[np.float64],
    values: NDArray[np.float64],
    column: int,
    bias: float,
) -> Shape:
    """How an additive model's log-odds change with one signal, all others as in `base`."""
    seen = np.unique(values)
    asked = np.repeat(base, len(seen), axis=0)
    asked[:, column] = seen
    worth = np.round(model.decision_function(asked) - bias, 4)
    steps = np.flatnonzero(np.diff(worth))
    at = np.round((seen[steps] + seen[steps + 1]) / 2, 5)
    return Shape(tuple(at.tolist()), tuple(worth[[*steps, len(worth) - 1]].tolist()))


def columns(names: Sequence[str]) -> list[int]:
    return [SIGNAL_NAMES.index(name) for name in names]


def choice(rows: Sequence[Judged], names: Sequence[str]) -> NDArray[np.float64]:
    """Weights that choose among a row's candidates: ridge conditional logit (McFadden, 1974), by Newton's method.

    A row counts where some candidates are right and some are wrong; any of the right ones may be chosen.
    """
    at = columns(names)
    kept = [row for row in rows if row.right.any() and not row.right.all()]
    scale = np.vstack([row.signals[:, at] for row in kept]).std(0) + 1e-9
    weights = np.zeros(len(at))
    for _ in range(STEPS):
        gradient, curvature = RIDGE * weights, RIDGE * np.eye(len(at))
        for row in kept:
            x = row.signals[:, at] / scale
            odds = np.exp(x @ weights - (x @ weights).max())
            all_of, right_of = odds / odds.sum(), np.where(row.right, odds, 0) / odds[row.right].sum()
            mean = x.T @ all_of
            gradient = gradient + mean - x.T @ right_of
            curvature = curvature + (x * all_of[:, None]).T @ x - np.outer(mean, mean)
        weights = weights - STEP * np.linalg.solve(curvature, gradient)
    found: NDArray[np.float64] = weights / scale
    return found


@dataclass(frozen=True)
class Fitted:
    """Weights that choose a candidate, and bias and shapes of how sure that is."""

    names: tuple[str, ...]
    chooses: NDArray[np.float64]
    bias: float
    shapes: list[Shape]

    def best(self, row: Judged) -> tuple[float, bool]:
        """How sure the best candidate of a row is (0 where it is never given as an answer), and whether it is right."""
        top = chosen(row, self.names, self.chooses)
        told = row.signals[top, columns(self.names)].tolist()
        logit = self.bias + sum(shape(value) for shape, value in zip(self.shapes, told, strict=True))
        fits = row.signals[top, TYPE_MISFIT] == 0
        return float(fits / (1 + np.exp(-logit))), bool(row.right[top])


def chosen(row: Judged, names: Sequence[str], weights: NDArray[np.float64]) -> int:
    """The candidate that the bot would choose."""
    return int((row.signals[:, columns(names)] @ weights - MISFIT * row.signals[:, TYPE_MISFIT]).argmax())


def fit(rows: Sequence[Judged], names: tuple[str, ...]) -> Fitted:
    """First the weights that choose, then how sure the chosen ones are."""
    at = columns(names)
    chooses = choice(rows, names)
    tops = [(row, chosen(row, names, chooses)) for row in rows]
    features = np.array([row.signals[top, at] for row, top in tops])
    return Fitted(names, chooses, *shaped(features, np.array([bool(row.right[top]) for row, top in tops]), names))


def cross_validated(rows: Sequence[Judged], names: tuple[str, ...]) -> list[tuple[Judged, float, bool]]:
    """Every row's best candidate by weights fitted on other stories."""
    stories = sorted({row.story for row in rows})
    out = []
    for fold in range(min(FOLDS, len(stories))):
        held = set(stories[fold::FOLDS])
        fitted = fit([row for row in rows if row.story not in held], names)
        out += [(row, *fitted.best(row)) for row in rows if row.story in held]
    return out


def figures(scored: Sequence[tuple[Judged, float, bool]], threshold: float) -> dict[str, float]:
    """right, refused, premise, precision at a threshold; apart from them, the share of strangers refused."""

    def share(kinds: tuple[str, ...], good: Callable[[float, bool], bool]) -> float:
        hits = [good(p, ok) for row, p, ok in scored if row.kind in kinds]
        return sum(hits) / max(1, len(hits))

    answered = [ok for row, p, ok in scored if p >= threshold and row.kind != STRANGER]
    return {
        "right": share(("answerable",), lambda p, ok: p >= threshold and ok),
        "refused": share(("unanswerable", "off_topic"), lambda p, _: p < threshold),
        "premise": share(("false_premise",), lambda p, ok: p < threshold or ok),
        "precision": sum(answered) / max(1, len(answered)),
        "strangers": share((STRANGER,), lambda p, _: p < threshold),
    }


def taken_for_off_topic(rows: Sequence[Judged]) -> str:
    """How many messages of each kind the rule for off-topic ones takes for such."""
    found: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        strange = row.signals[0, UNKNOWN] >= OFF_TOPIC_UNKNOWN and row.signals[:, RANK].max() < OFF_TOPIC_RANK
        found[row.kind].append(bool(strange and row.signals[:, READS].max() < OFF_TOPIC_READS))
    return ", ".join(f"{kind} {sum(taken)} of {len(taken)}" for kind, taken in sorted(found.items()))


def report(name: str, rows: Sequence[Judged], names: tuple[str, ...]) -> dict[str, object]:
    everything = cross_validated(rows, names)
    scored = [one for one in everything if not one[0].follows]
    due = np.array([p for row, p, _ in scored if row.kind == "answerable"])
    none = np.array([p for row, p, _ in scored if row.kind in ("unanswerable", "off_topic")])
    area = float((due[:, None] > none[None, :]).mean())
    print(f"{name}: {len(rows)} rows of {len({r.story for r in rows})} stories, refusal AUC {area:.3f}")
    answer = ANSWER[name]
    for threshold in sorted({*np.arange(0.2, 0.81, 0.1).round(2).tolist(), answer}):
        told = "  ".join(f"{k} {v:.3f}" for k, v in figures(scored, threshold).items())
        print(f"  {'*' if threshold == answer else ' '} {threshold:.2f}  {told}")
    following = figures([one for one in everything if one[0].follows], FOLLOWING[name])
    print("  follow-ups  " + "  ".join(f"{k} {v:.3f}" for k, v in following.items() if k != "strangers"))
    fitted = fit(rows, names)
    picked = [ok for row, _, ok in scored if row.kind == "answerable"]
    able = [bool(row.right.any()) for row, _, _ in scored if row.kind == "answerable"]
    print(f"  taken for off topic: {taken_for_off_topic(rows)}")
    print(f"  right candidate among them {sum(able) / len(able):.3f}, chosen {sum(picked) / len(picked):.3f}")
    return {
        "choice": {n: round(float(w), 4) for n, w in zip(names, fitted.chooses, strict=True)},
        "shapes": {n: asdict(shape) for n, shape in zip(names, fitted.shapes, strict=True)},
        "bias": round(fitted.bias, 4),
        "answer": answer,
        "following": FOLLOWING[name],
        # Offer where an answer would be right at least half as often as at the threshold for answering.
        "offer": round(answer / 2, 2),
    }


@functools.cache
def models() -> Models:
    """The shipped models, once a process, with gates that decide nothing."""
    open_gate = Gate({}, {}, 0.0, 0.0, 0.0, 0.0)
    return Models(Encoder(), Reader(), Gates(open_gate, open_gate))


def strangers(data: Path, name: str, matcher: Matcher) -> list[Judged]:
    """Questions about other articles, half of whose words this one does not hold: none of them has an answer here."""
    others = (row for other in held_out_names(data) if other != name for row in rows_of(data, other))
    messages = [row.message for row in others if row.kind == "answerable"]
    messages.sort(key=lambda message: hashlib.sha256(f"{name} {message}".encode()).digest())
    told = (judged_message(matcher, name, message, STRANGER, lambda _: False) for message in messages)
    return [*islice((one for one in told if one.signals[0, UNKNOWN] >= OFF_TOPIC_UNKNOWN), STRANGERS)]


def rows_about(data: Path, held: Path, name: str) -> list[Row]:
    """Every row of a held-out story, of all writers."""
    further = held / f"{name}.rows"
    return rows_of(data, name) + (read_piped_rows(further) if further.exists() else [])


def talks_about(held: Path, name: str) -> list[list[Row]]:
    """The conversations about a held-out story."""
    path = held / f"{name}.talks"
    return read_talks(path) if path.exists() else []


def judged_story(story: Story, data: Path, held: Path) -> list[Judged]:
    """All rows of a story that are fair to it, strangers, and follow-ups."""
    responder = Responder(story, models())
    matcher = responder.matcher
    rows = [judged(matcher, row) for row in rows_about(data, held, story.name) if is_fair(row, story)]
    return rows + strangers(data, story.name, matcher) + judged_talks(responder, talks_about(held, story.name))


def judged_draft(data: Path, held: Path, name: str) -> list[Judged]:
    """A story judged against its draft."""
    return judged_story(load_story(data / "stories" / f"{name}.txt"), data, held)


def written_story(data: Path, path: Path) -> Story:
    """A story with the table that was written for it."""
    story = load_story(data / "stories" / f"{path.stem}.txt")
    facts, gaps = read_table(path)
    return replace(story, table=replace(story.table, facts=tuple(facts), gaps=tuple(gaps)), drafted=False)


def judged_written(data: Path, held: Path, path: Path) -> list[Judged]:
    """A story judged against the table that was written for it."""
    return judged_story(written_story(data, path), data, held)


def is_fair(row: Row, story: Story) -> bool:
    """Whether a row says something about the bot: a reviewed table that has no fact for it cannot answer it."""
    return row.kind != "answerable" or story.drafted or is_told(row, story)


def is_told(row: Row, story: Story) -> bool:
    """Whether a fact of a story's table answers a row."""
    return any(is_right(row, fact.line, fact.answer) for fact in story.table.facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tables", type=Path, required=True, help="folder of NAME.facts, tables of articles in --data")
    parser.add_argument("--held", type=Path, required=True, help="folder of NAME.rows and NAME.talks about the same")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--keep", type=Path, help="keep the judged rows here and take them from here")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    if options.keep and options.keep.exists():
        drafted, written = pickle.loads(options.keep.read_bytes())  # noqa: S301 - our own file
    else:
        names = held_out_names(options.data)
        tables = sorted(path for path in options.tables.glob("*.facts") if is_held_out(path.stem))
        with ProcessPoolExecutor(options.jobs) as pool:
            given = repeat(options.data), repeat(options.held)
            drafted = [*chain.from_iterable(pool.map(judged_draft, *given, names))]
            written = [*chain.from_iterable(pool.map(judged_written, *given, tables))]
        if options.keep:
            options.keep.write_bytes(pickle.dumps((drafted, written)))
    gates = {"drafted": report("drafted", drafted, DRAFTED), "reviewed": report("reviewed", written, REVIEWED)}
    if options.write:
        options.write.write_text(json.dumps(gates, indent=1) + "\n", "utf8")


if __name__ == "__main__":
    main()
