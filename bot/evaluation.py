"""The batch test: messages with expected answers, and figures in which abstentions count.

A set is JSON Lines, one message each: `message`, `kind` (answerable, unanswerable, false_premise, off_topic,
smalltalk), `lines` (accepted source lines), `keys` (regexes, any one found in the answer makes it right) or `span`
(words that the answer must share), `style`. A `.json` file holds conversations: a list of lists of such messages.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bot.answering.candidates import word_overlap
from bot.answering.conversation import Turn
from bot.answering.reply import Answer, NotInStory, OffTopic, Reply, Smalltalk
from bot.answering.responder import Responder
from bot.answering.text import holds_words, words
from bot.errors import UsageError
from bot.surfaces.plain import json_object

Verdict = Literal["right", "cited", "offered", "silent", "wrong"]
KINDS = ("answerable", "unanswerable", "false_premise", "off_topic", "smalltalk")
FIGURES = ("right", "cited", "offered", "refused", "premise", "precision", "coverage", "brief", "manners")
SPAN_SHARED = 0.4  # F1 of the answer with the expected span: below it, an answer says something else
BRIEF_WORDS = 14
Z95 = 1.96


@dataclass(frozen=True)
class Expected:
    """A message and what a right reply to it is."""

    message: str
    kind: str
    lines: frozenset[int]
    keys: tuple[str, ...]
    span: str
    style: str


@dataclass(frozen=True)
class Judged:
    """A message, its reply, and the verdict on it."""

    expected: Expected
    reply: Reply
    verdict: Verdict


@dataclass(frozen=True)
class Share:
    """`hits` of `total`, with the 95 % interval of Wilson (1927)."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        """The share, 0..1; 0 of nothing is 0."""
        return self.hits / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound; (0, 0) of nothing."""
        n, z = self.total, Z95
        if not n:
            return 0.0, 0.0
        p, d = self.value, 1 + z * z / n
        middle = (p + z * z / (2 * n)) / d
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / d
        return middle - half, middle + half


def _expected(raw: object, where: str) -> Expected:
    if not isinstance(raw, dict) or not isinstance(raw.get("message"), str) or raw.get("kind") not in KINDS:
        raise UsageError(f"{where} is not a row: give it a message and a kind, one of {', '.join(KINDS)}.")
    if not all(isinstance(raw.get(name) or [], list) for name in ("keys", "lines")):
        raise UsageError(f"{where} has keys or lines that are no list: put them in square brackets.")
    try:
        keys = tuple(str(key) for key in raw.get("keys") or ())
        for key in keys:
            re.compile(key)
        lines = frozenset(int(line) for line in raw.get("lines") or ())
    except (re.error, TypeError, ValueError) as error:
        raise UsageError(f"{where} has a wrong key or line ({error}): mend it.") from error
    span, style = str(raw.get("span") or ""), str(raw.get("style") or "other")
    return Expected(raw["message"], raw["kind"], lines, keys, span, style)


def read_conversations(path: Path) -> list[list[Expected]]:
    """The conversations of a set; every line of JSON Lines is one of its own. Raises UsageError."""
    try:
        text = path.read_text("utf-8")
        raw = json.loads(text) if path.suffix == ".json" else [[json.loads(t)] for t in text.splitlines() if t.strip()]
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as messages ({error}): give JSON Lines.") from error
    if not isinstance(raw, list) or not all(isinstance(conversation, list) for conversation in raw):
        raise UsageError(f"{path} must be a list of conversations, each a list of messages.")
    return [
        [_expected(row, f"{path.name}, conversation {i}, message {j}") for j, row in enumerate(conversation, 1)]
        for i, conversation in enumerate(raw, 1)
    ]


def judge(expected: Expected, reply: Reply) -> Verdict:
    """The verdict on a reply."""
    lines = {source.line for source in reply.sources} if isinstance(reply, Answer) else set()
    on_line = bool(lines & expected.lines)
    answered = isinstance(reply, Answer)
    match expected.kind:
        case "answerable":
            if on_line and isinstance(reply, Answer):
                return "right" if _holds(expected, reply.answer) else "cited"
            if answered:
                return "wrong"
            return "offered" if any(s.line in expected.lines for s in reply.suggestions) else "silent"
        case "smalltalk":
            return "right" if isinstance(reply, Smalltalk) else "wrong"
        case "false_premise":
            return "right" if not answered or on_line else "wrong"
        case _:
            return "wrong" if answered else "right"


def _holds(expected: Expected, answer: str) -> bool:
    if expected.keys:
        return any(re.search(key, answer, re.IGNORECASE) for key in expected.keys)
    return holds_span(answer, expected.span)


def holds_span(answer: str, span: str) -> bool:
    """Whether an answer holds the words of a marked span, or most of them."""
    return word_overlap(words(span), words(answer)) >= SPAN_SHARED or holds_words(answer, span)


def evaluate(conversations: Iterable[Sequence[Expected]], responder: Responder) -> list[Judged]:
    """Ask everything and judge every reply."""
    judged = []
    for conversation in conversations:
        previous: Turn | None = None
        for expected in conversation:
            exchange = responder.respond(expected.message, previous)
            previous = exchange.turn
            judged.append(Judged(expected, exchange.reply, judge(expected, exchange.reply)))
    return judged


def _is_brief(reply: Reply) -> bool:
    if not isinstance(reply, Answer):
        return False
    length = len(reply.answer.split())
    return length <= BRIEF_WORDS or length <= len(reply.sources[0].text.split()) / 2


def figures(judged: Sequence[Judged]) -> dict[str, Share]:
    """All figures of a batch; no reply is left out of any that it bears on."""

    def of(kinds: tuple[str, ...], verdicts: tuple[Verdict, ...]) -> Share:
        rows = [j for j in judged if j.expected.kind in kinds]
        return Share(sum(j.verdict in verdicts for j in rows), len(rows))

    answers = [j for j in judged if isinstance(j.reply, Answer)]
    good = [j for j in answers if j.verdict == "right"]
    right = [j for j in good if j.expected.kind == "answerable"]
    polite = [
        j.verdict == "right" if j.expected.kind == "smalltalk" else isinstance(j.reply, OffTopic | NotInStory)
        for j in judged
        if j.expected.kind in ("smalltalk", "off_topic")
    ]
    return {
        "right": of(("answerable",), ("right",)),
        "cited": of(("answerable",), ("right", "cited")),
        "offered": of(("answerable",), ("offered",)),
        "refused": of(("unanswerable", "off_topic"), ("right",)),
        "premise": of(("false_premise",), ("right",)),
        "precision": Share(len(good), len(answers)),
        "coverage": Share(len(answers), len(judged)),
        "brief": Share(sum(_is_brief(j.reply) for j in right), len(right)),
        "manners": Share(sum(polite), len(polite)),
    }


def risk_coverage(judged: Sequence[Judged]) -> list[tuple[float, float]]:
    """(coverage, risk) as the threshold falls: share of all messages answered, share of those answers wrong.

    Over the replies that were answers, best score first (El-Yaniv and Wiener, 2010).
    """
    answers = sorted(
        ((j.reply.score, j.verdict != "right") for j in judged if isinstance(j.reply, Answer)), key=lambda p: -p[0]
    )
    wrong, curve = 0, []
    for count, (_, is_wrong) in enumerate(answers, 1):
        wrong += is_wrong
        curve.append((count / len(judged), wrong / count))
    return curve


def _floors(raw: Sequence[str]) -> dict[str, float]:
    floors = {}
    for item in raw:
        name, _, value = item.partition("=")
        try:
            floors[name] = float(value)
        except ValueError:
            floors[name] = math.nan
        if name not in FIGURES or not 0 <= floors[name] <= 1:
            raise UsageError(f"--floor {item!r} is wrong: write FIGURE=SHARE, e.g. right=0.9, of {', '.join(FIGURES)}.")
    return floors


def _plot(curve: Sequence[tuple[float, float]], path: Path) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("--plot needs matplotlib: run `pip install matplotlib`.") from error
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([c for c, _ in curve], [r for _, r in curve], drawstyle="steps-post")
    axes.set(xlabel="coverage (share of messages answered)", ylabel="risk (share of answers wrong)", ylim=(0, None))
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be written as an image ({error}): name a .png or .svg file.") from error


def _by(judged: Sequence[Judged], attribute: str) -> str:
    groups: dict[str, Counter[str]] = {}
    for j in judged:
        groups.setdefault(getattr(j.expected, attribute), Counter())[j.verdict] += 1
    return "  ".join(f"{name} {counts['right']}/{counts.total()}" for name, counts in sorted(groups.items()))


def _report(judged: Sequence[Judged], shares: Mapping[str, Share]) -> list[str]:
    lines = [f"{len(judged)} messages"]
    for name, share in shares.items():
        low, high = share.interval
        lines.append(f"  {name:10}{share.hits:5}/{share.total:<5} {share.value:.3f}  [{low:.3f}, {high:.3f}]")
    curve = risk_coverage(judged)
    picked = [curve[round(i * (len(curve) - 1) / 4)] for i in range(5)] if curve else []
    lines.append("  risk at coverage  " + "  ".join(f"{risk:.3f} at {coverage:.2f}" for coverage, risk in picked))
    lines += [f"  right by kind   {_by(judged, 'kind')}", f"  right by style  {_by(judged, 'style')}"]
    for j in judged:
        if j.verdict != "right":
            told = json_object(j.expected.message, j.reply)
            lines.append(
                f"  {j.verdict:8}{j.expected.kind:14}{j.expected.message!r}: {told['kind']} {told['answer']!r}"
            )
    return lines


Batch = tuple[Responder, Sequence[Path]]
"""A story's responder and the sets of messages to ask it."""


def run_evaluation(
    batches: Iterable[Batch], *, floors: Sequence[str] = (), plot: Path | None = None, as_json: bool = False
) -> int:
    """Evaluate all batches together and print; exit status 1 where a figure lies below its floor. Raises UsageError."""
    wanted = _floors(floors)
    judged = [
        one for responder, paths in batches for path in paths for one in evaluate(read_conversations(path), responder)
    ]
    shares = figures(judged)
    if as_json:
        told: dict[str, Any] = {
            name: {"hits": s.hits, "total": s.total, "value": s.value} for name, s in shares.items()
        }
        print(json.dumps(told))
    else:
        print("\n".join(_report(judged, shares)))
    if plot:
        _plot(risk_coverage(judged), plot)
    low = [f"{name} is {shares[name].value:.3f}, below its floor {floor}" for name, floor in wanted.items()
           if shares[name].value < floor]  # fmt: skip
    for line in low:
        print(line)
    return 1 if low else 0
