"""Train the model in stages: `pairs`, public questions about single sentences; `stories`, readers' messages about
articles; `upper`, the same with the lower layers held still. `stories` may follow `upper`.

python -m training.train pairs   --base MPNET --data TRAIN -o pairs.pt
python -m training.train stories --base MPNET --data TRAIN --own training/data/* --start pairs.pt -o stories.pt
python -m training.train upper   --base MPNET --data TRAIN --own training/data/* --start stories.pt -o model.pt

A step takes one story: its lines, a group of messages about it, and statements made from its own sentences. Everything
is encoded once by the lower layers, a line among those around it. The messages are ranked against the lines and
against each other by the score that the bot ranks by; then each is read with the line that answers it and with the
closest lines that do not, as ranked by the model itself. `upper` teaches the upper layers alone, on reading, in many
small steps.
"""

from __future__ import annotations

import argparse
import math
import random
import re
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path

import torch
from tokenizers import Encoding, Tokenizer
from torch.nn import functional

from bot.answering.encoder import windows_of
from bot.answering.index import BEFORE_WEIGHT
from bot.answering.text import BEHIND, stems
from training.examples import (
    ANSWERS,
    CONTRADICTS,
    SILENT,
    Example,
    Row,
    Story,
    held_out_stories,
    qamr_stories,
    roughened,
    same_fact,
    training_stories,
    with_follow_ups,
)
from training.model import LOWER, Model, RoundedLinear, Texts
from training.statements import statement_examples

SEED = 20250428
GROUP = 28  # messages a step: as many as most files of `leaning/` hold about their article
STRANGERS = 3  # messages about other stories a step: a bot is asked about anything
STATEMENTS = 6  # changed statements an article and epoch, and as many true ones
NEGATIVES = 2  # closest lines without the answer that a message is read with; one more where no line has it
SAYS_THE_SAME = 0.5  # share of a line's word stems that another line holds: from there on, a headline and its lead
PAIRS = 24  # read at once; pairs of similar length stand together
LONG_MESSAGE = 20  # tokens; four in five messages are shorter
READING_COUNTS = 2.0  # beside ranking: it decides what is answered
CHOICE_COUNTS = 0.3  # of each of the three that choose a passage, beside its class and its words
SHARPNESS = 18.0  # scores lie within 0.3 to 0.9: at this factor the softmax can be sure
ROUNDED_EVERY = 8  # steps: in so few, hardly a weight crosses the border between two of its sixteen values
PADDED_GROUPS = 3  # texts of similar length are encoded together: half of the padding is saved
MESSAGE_WORDS, PASSAGE_TOKENS = 48, 160  # 99 % of the rows and of the passages are shorter
# The upper layers have to learn what the published model never did: to compare two texts that were encoded apart.
UPDATES = 4  # steps of the upper layers for a group of messages
UPPER_FASTER = 2.5
HEADS_FASTER = 10.0  # where the heads start from nothing
WARM_UP = 0.05  # share of the steps


def tokenizer_at(base: Path) -> Tokenizer:
    """The tokenizer of the base model, without padding."""
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(PASSAGE_TOKENS)
    return tokenizer


def cut(message: str) -> str:
    """The first words of a message; of what stands before a follow-up, the last ones."""
    before, behind, asked = message.rpartition(BEHIND)
    asking = asked.split()[:MESSAGE_WORDS]
    room = MESSAGE_WORDS - len(asking)
    return " ".join(before.split()[-room:] if room else []) + behind + " ".join(asking)


def what_counts(message: str, tokenizer: Tokenizer, width: int) -> torch.Tensor:
    """How much each token [width] of a message counts in ranking: before a follow-up, as little as for the bot."""
    asked = message.rpartition(BEHIND)[2]
    before = len(tokenizer.encode(message).ids) - len(tokenizer.encode(asked).ids)
    return torch.tensor([BEFORE_WEIGHT if at <= before else 1.0 for at in range(width)])


def padded(texts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask, each [texts, longest]."""
    longest = max(map(len, texts))
    ids = torch.tensor([[*text] + [1] * (longest - len(text)) for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
    return ids, mask


def encoded(model: Model, encodings: Sequence[Encoding]) -> Texts:
    """Texts by the lower layers, in groups of similar length."""
    order = sorted(range(len(encodings)), key=lambda i: len(encodings[i].ids))
    size = -(-len(order) // PADDED_GROUPS)
    groups = [
        model.encoded(*padded([encodings[i].ids for i in order[at : at + size]])) for at in range(0, len(order), size)
    ]  # fmt: skip
    return in_order(joined(groups), torch.tensor(order).argsort())


def encoded_lines(model: Model, encodings: Sequence[Encoding]) -> Texts:
    """Lines of an article by the lower layers, each among those around it, as the bot encodes them."""
    windows = windows_of([tuple(encoding.ids) for encoding in encodings])
    ids, mask = padded([window.ids for window in windows])
    states = model.lower(ids, mask)
    ends = torch.tensor([(n, *bounds) for n, window in enumerate(windows) for bounds in window.bounds])
    window, first, last = (column[:, None] for column in ends.T)
    at = torch.arange(int((last - first).max()))[None]
    own = (first + at).clamp(max=ids.shape[1] - 1)
    return model.texts(states[window, own], ids[window, own], (at < last - first).long())


def joined(groups: Sequence[Texts]) -> Texts:
    """Groups of texts as one, as long as the longest of them."""
    longest = max(group.mask.shape[1] for group in groups)

    def together(name: str) -> torch.Tensor:
        parts = [getattr(group, name) for group in groups]
        return torch.cat([functional.pad(p, (0, 0) * (p.dim() - 2) + (0, longest - p.shape[1])) for p in parts])

    means = torch.cat([group.means for group in groups])
    return Texts(*map(together, ("states", "mask", "ids", "tokens")), means, together("inner"))


def in_order(texts: Texts, order: torch.Tensor) -> Texts:
    """The same texts in another order."""
    return Texts(*(getattr(texts, field.name)[order] for field in fields(texts)))


def trimmed(texts: Texts, chosen: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """States and mask of some texts, as long as the longest of them."""
    mask = texts.mask[chosen]
    longest = int(mask.sum(1).max())
    return texts.states[chosen][:, :longest], mask[:, :longest]


@dataclass(frozen=True)
class Pair:
    """A message and a passage by their indices, a class, and the passage's tokens of the answer (from 0, -1: none)."""

    message: int
    passage: int
    label: int
    first: int = -1
    last: int = -1


class Step:
    """One story with some messages, encoded, compared and read."""

    def __init__(
        self, model: Model, tokenizer: Tokenizer, weights: torch.Tensor, lines: list[str], messages: list[str],
        others: list[str] | None = None,
    ) -> None:  # fmt: skip
        self.model = model
        self.lines = len(lines)
        passages = lines + (others or [])
        self.encodings = tokenizer.encode_batch(passages)
        self.passages = encoded_lines(model, self.encodings[: self.lines])
        if others:
            self.passages = joined([self.passages, encoded(model, self.encodings[self.lines :])])
        asked = [cut(message) for message in messages]
        self.messages = encoded(model, tokenizer.encode_batch(asked))
        width = self.messages.ids.shape[1]
        counts = torch.stack([what_counts(message, tokenizer, width) for message in asked])
        self.weights = weights[self.messages.ids] * self.messages.inner * counts
        self.judged, self.marked = torch.zeros(2), torch.zeros(2)  # right classes and exact spans, each of how many

    def to_lines(self) -> torch.Tensor:
        """Ranking scores [messages, lines]."""
        return scores(self.messages, self.weights, self.passages)[:, : self.lines]

    def to_messages(self) -> torch.Tensor:
        """Ranking scores [messages, messages]."""
        return scores(self.messages, self.weights, self.messages)

    def pair(self, message: int, passage: int, label: int, start: int, end: int) -> Pair:
        """A pair whose answer stands at characters `start` to `end` of the passage; silent where it was cut off."""
        inside = [
            i for i, (begin, stop) in enumerate(self.encodings[passage].offsets) if stop > start and begin < end
        ]  # fmt: skip
        return Pair(message, passage, label, inside[0], inside[-1]) if inside else Pair(message, passage, SILENT)

    def read(self, pairs: Sequence[Pair]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Class, start and end logits of pairs; a marker or padding begins or ends no span."""
        rows, columns = [p.message for p in pairs], [p.passage for p in pairs]
        passages, mask = trimmed(self.passages, columns)
        verdict, start, end = self.model.read(*trimmed(self.messages, rows), passages, mask)
        marks = self.passages.inner[columns][:, : mask.shape[1]] == 0
        return verdict.float(), start.float().masked_fill(marks, -1e4), end.float().masked_fill(marks, -1e4)

    def asking_loss(self, pairs: Sequence[tuple[int, int, int]]) -> torch.Tensor:
        """Class loss of (message, other message, class): whether a fact that the other one asks for answers it."""
        if not pairs:
            return torch.zeros(())
        one, other, labels = (list(column) for column in zip(*pairs, strict=True))
        verdict, _, _ = self.model.read(*trimmed(self.messages, one), *trimmed(self.messages, other))
        return functional.cross_entropy(verdict.float(), torch.tensor(labels), label_smoothing=0.03)

    def reading_loss(self, pairs: list[Pair], spans_count: float = 0.5) -> torch.Tensor:
        """Class loss of all pairs, and span loss (times `spans_count`) of those that are not silent.

        A silent pair teaches nothing about spans. Taught "no span" by three pairs in four, as in SQuAD 2, the upper
        layers had learnt no span at all after 20,000 pairs; without that they mark a quarter of the starts right after
        1,000.
        """
        told = self.messages.mask.sum(1).tolist()
        ordered = sorted(pairs, key=lambda p: (told[p.message] > LONG_MESSAGE, len(self.encodings[p.passage].ids)))
        classes, spans, spoken = torch.zeros(()), torch.zeros(()), 0
        weighed = [torch.zeros(0, 3)]
        for i in range(0, len(ordered), PAIRS):
            group = ordered[i : i + PAIRS]
            verdict, start, end = self.read(group)
            weighed.append(for_the_passage(verdict, start, end))
            labels = torch.tensor([p.label for p in group])
            classes = classes + functional.cross_entropy(verdict, labels, label_smoothing=0.03, reduction="sum")
            self.judged += torch.tensor([int(verdict.argmax(1).eq(labels).sum()), len(group)])
            speaks = [n for n, p in enumerate(group) if p.label != SILENT]
            if not speaks:
                continue
            firsts, lasts = (
                torch.tensor([at(group[n]) for n in speaks]) for at in (lambda p: p.first, lambda p: p.last)
            )
            spans = spans + functional.cross_entropy(start[speaks], firsts, reduction="sum")
            spans = spans + functional.cross_entropy(end[speaks], lasts, reduction="sum")
            exact = start[speaks].argmax(1).eq(firsts) & end[speaks].argmax(1).eq(lasts)
            self.marked += torch.tensor([int(exact.sum()), len(speaks)])
            spoken += len(speaks)
        choice = CHOICE_COUNTS * choice_loss(ordered, torch.cat(weighed))
        return classes / max(1, len(pairs)) + spans_count * spans / max(1, spoken) + choice


def for_the_passage(verdict: torch.Tensor, start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """What speaks for each passage among those that a message is read with: its class, its starts, its ends [pairs, 3].

    Start and end logits count without a softmax of each passage's own, so that they are worth the same in all of them
    (shared normalisation: Clark and Gardner, ACL 2018).
    """
    speaks = verdict[:, :SILENT].logsumexp(1) - verdict[:, SILENT]
    return torch.stack([speaks, start.logsumexp(1), end.logsumexp(1)], dim=1)


def choice_loss(pairs: Sequence[Pair], weighed: torch.Tensor) -> torch.Tensor:
    """How sure each of `weighed` [pairs, 3] is of the one passage that answers, among those read with a message."""
    read: dict[int, list[int]] = defaultdict(list)
    for number, pair in enumerate(pairs):
        read[pair.message].append(number)
    losses = []
    for numbers in read.values():
        right = [n for n, number in enumerate(numbers) if pairs[number].label != SILENT]
        if len(right) == 1 < len(numbers):
            losses.append(-functional.log_softmax(weighed[numbers], dim=0)[right[0]].sum())
    return torch.stack(losses).mean() if losses else weighed.sum() * 0


def scores(messages: Texts, weights: torch.Tensor, texts: Texts) -> torch.Tensor:
    """The bot's ranking scores, [messages, texts]: late interaction twice, cosine once (bot/answering)."""
    similar = torch.einsum("mtd,nud->mntu", messages.tokens, texts.tokens)
    similar = similar.masked_fill(texts.inner[None, :, None, :] == 0, -1.0).amax(-1)
    share = weights / weights.sum(1, keepdim=True).clamp(min=1e-6)
    return (2 * torch.einsum("mnt,mt->mn", similar, share) + messages.means @ texts.means.T) / 3


def several_right(logits: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy over rows that have a right column: -log of the probability of all right ones."""
    kept = right.any(1)
    if not kept.any():
        return logits.sum() * 0
    log_p = functional.log_softmax(logits[kept], dim=1)
    return -log_p.masked_fill(~right[kept], -1e9).logsumexp(1).mean()


def asking_pairs(
    to_messages: torch.Tensor, same: torch.Tensor, rows: list[Row], rng: random.Random
) -> list[tuple[int, int, int]]:
    """Each message with one that asks for the same fact or known gap, and with the closest ones that ask for others."""
    known = [j for j, row in enumerate(rows) if row.fact or (row.kind == "answerable" and row.span)]
    pairs = []
    for i, row in enumerate(rows):
        alike = [j for j in known if same[i, j]]
        if alike:
            pairs.append((i, rng.choice(alike), CONTRADICTS if row.kind == "false_premise" else ANSWERS))
        apart = [
            j for j in known
            if j != i and not same[i, j] and not (row.span and rows[j].line == row.line and row.span in rows[j].span)
        ]  # fmt: skip
        closest = sorted(apart, key=lambda j: -float(to_messages[i, j]))[:NEGATIVES]
        pairs += [(i, j, SILENT) for j in closest[: 1 if row.kind == "off_topic" else NEGATIVES]]
    return pairs


def may_answer(story: Story, row: Row) -> set[int]:
    """The lines that may answer a row: its own, those that hold its words, and those that say the same."""
    own = stems(text for number, text in zip(story.numbers, story.lines, strict=True) if number == row.line)

    def same(text: str) -> bool:
        told = stems([text])
        return len(told & own) >= SAYS_THE_SAME * len(told)

    return {
        at
        for at, (number, text) in enumerate(zip(story.numbers, story.lines, strict=True))
        if number == row.line or (row.span and row.span in text) or same(text)
    }


def reading_pairs(step: Step, to_lines: torch.Tensor, story: Story, rows: list[Row]) -> list[Pair]:
    """What each message is read with: the line that answers or corrects it, and the closest ones that do not."""
    pairs = []
    for number, (row, ranks) in enumerate(zip(rows, to_lines.tolist(), strict=True)):
        order = sorted(range(len(ranks)), key=lambda i: -ranks[i])
        wanted = 1 if row.kind in ("false_premise", "off_topic") else NEGATIVES
        if row.span and row.line in story.numbers:
            at = story.numbers.index(row.line)
            start = story.lines[at].find(row.span)
            label = ANSWERS if row.kind == "answerable" else CONTRADICTS
            if start >= 0:
                pairs.append(step.pair(number, at, label, start, start + len(row.span)))
        elif row.kind == "unanswerable":
            wanted += 1
        answering = may_answer(story, row)
        silent = [i for i in order if i not in answering]
        pairs += [Pair(number, i, SILENT) for i in silent[:wanted]]
    return pairs


@dataclass(frozen=True)
class Work:
    """A story with a group of rows, encoded and compared, and what is to be read of it."""

    step: Step
    to_lines: torch.Tensor
    to_messages: torch.Tensor
    right: torch.Tensor
    same: torch.Tensor
    reading: list[Pair]
    asking: list[tuple[int, int, int]]

    def ranking_loss(self) -> torch.Tensor:
        """Each message close to its line, and to the messages that ask the same."""
        itself = torch.eye(len(self.same), dtype=torch.bool)
        asking = SHARPNESS * self.to_messages.masked_fill(itself, -1e3)
        return several_right(SHARPNESS * self.to_lines, self.right) + several_right(asking, self.same)


def work_of(
    model: Model, tokenizer: Tokenizer, story: Story, rows: list[Row], extra: list[Example], rng: random.Random
) -> Work:
    """What one story with a group of rows and further pairs teaches."""
    known = {text: i for i, text in enumerate(story.lines)}
    others = sorted({e.passage for e in extra} - known.keys())
    known |= {text: len(story.lines) + i for i, text in enumerate(others)}
    messages = [roughened(row.message, rng) for row in rows] + [e.message for e in extra]
    step = Step(model, tokenizer, story.weights(tokenizer), list(story.lines), messages, others)
    to_lines, to_messages = step.to_lines()[: len(rows)], step.to_messages()[: len(rows), : len(rows)]
    right = torch.tensor([[bool(row.span) and n == row.line for n in story.numbers] for row in rows])
    same = torch.tensor([[i != j and same_fact(one, two) for j, two in enumerate(rows)] for i, one in enumerate(rows)])
    pairs = reading_pairs(step, to_lines.detach(), story, rows)
    for number, e in enumerate(extra, len(rows)):
        at = known[e.passage]
        silent = e.label == SILENT
        pairs.append(Pair(number, at, SILENT) if silent else step.pair(number, at, e.label, e.start, e.end))
    asking = asking_pairs(to_messages.detach(), same, rows, rng) if same.any() else []
    return Work(step, to_lines, to_messages, right, same, pairs, asking)


def by_line(rows: Sequence[Row], rng: random.Random) -> list[Row]:
    """Rows in random order, those about one line or gap together: what else it says is the hardest to tell apart."""
    place: dict[int | str, float] = defaultdict(rng.random)
    return sorted(
        rng.sample(rows, len(rows)),
        key=lambda row: place[row.line or row.fact] if row.line or row.fact else rng.random(),
    )


def steps_of(
    stories: list[Story], rng: random.Random, options: argparse.Namespace
) -> list[tuple[Story, list[Row], list[Example]]]:
    """The steps of all epochs; a last epoch may be a part of one."""
    epochs = [epoch_of(stories, rng, options.stage == "pairs") for _ in range(math.ceil(options.epochs))]
    return list(chain.from_iterable(epochs))[: round(len(epochs[0]) * options.epochs)]


def epoch_of(stories: list[Story], rng: random.Random, pairs: bool) -> list[tuple[Story, list[Row], list[Example]]]:
    """The steps of one epoch, in random order."""
    steps = []
    for story in stories:
        mixed = by_line(with_follow_ups(story.rows, rng), rng)
        groups = [mixed[i : i + GROUP] for i in range(0, len(mixed), GROUP)]
        made = list(story.extra) or statement_examples(list(story.lines), STATEMENTS, rng)
        share = -(-len(made) // len(groups))
        for number, group in enumerate(groups):
            away = (
                []
                if pairs
                else [rng.choice(other.rows) for other in rng.sample(stories, STRANGERS) if other is not story]
            )
            strangers = [Row(story.name, row.message, "off_topic", 0, "") for row in away]
            steps.append((story, group + strangers, made[number * share : (number + 1) * share]))
    rng.shuffle(steps)
    return steps


def parameter_groups(model: Model, rate: float, heads: float) -> list[dict[str, object]]:
    """Parameters by how fast they learn; the heads by a factor of their own."""
    groups: dict[float, list[torch.nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            layer = re.match(r"layers\.(\d+)\.", name)
            own = name.split(".")[0] in ("token_head", "text_head", "verdict", "span", "across", "side")
            faster = heads if own else UPPER_FASTER if layer and int(layer[1]) >= LOWER else 1.0
            groups[faster].append(parameter)
    return [{"params": found, "lr": rate * faster} for faster, found in groups.items()]


class Schedule:
    """AdamW with warm-up, the full rate for a share of the steps, then linear decay to zero."""

    def __init__(self, groups: list[dict[str, object]], steps: int, hold: float) -> None:
        self._optimizer = torch.optim.AdamW(groups, weight_decay=0.01, fused=True)
        warm = max(1, round(steps * WARM_UP))
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda at: max(0.0, min((at + 1) / warm, 1.0, (steps - at) / (steps * (1 - hold))))
        )
        self._parameters = [parameter for group in self._optimizer.param_groups for parameter in group["params"]]

    def step(self, loss: torch.Tensor) -> None:
        """Learn from a loss."""
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._schedule.step()


class Progress:
    """What is printed while training: a running mean of the loss, of right classes and of exact spans."""

    def __init__(self, steps: int) -> None:
        self._steps, self._begun, self._number = steps, time.monotonic(), 0
        self._loss, self._counts = 0.0, torch.zeros(4)

    def add(self, loss: float, step: Step) -> None:
        """Count one step, and print every 25th."""
        self._number += 1
        self._loss += (loss - self._loss) / min(self._number, 25)
        self._counts = 0.98 * self._counts + torch.cat([step.judged, step.marked])
        if self._number % 25 == 0:
            judged, of, marked, among = self._counts.tolist()
            told = f"class {judged / of:.3f}, exact words {marked / among:.3f}"
            seconds = time.monotonic() - self._begun
            print(f"step {self._number}/{self._steps} loss {self._loss:.3f} {told} {seconds:.0f} s", flush=True)


def fit(model: Model, tokenizer: Tokenizer, stories: list[Story], options: argparse.Namespace) -> None:
    """All layers on all losses; towards the end with weights of four bits."""
    rng = random.Random(options.seed)
    steps = steps_of(stories, rng, options)
    schedule, progress = (
        Schedule(parameter_groups(model, options.rate, options.heads), len(steps), options.hold),
        Progress(len(steps)),
    )
    for number, (story, rows, extra) in enumerate(steps, 1):
        if number > len(steps) * options.whole and number % ROUNDED_EVERY == 0:
            model.round_weights()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            model.prepare()
            work = work_of(model, tokenizer, story, rows, extra, rng)
            reading = work.step.reading_loss(work.reading) + work.step.asking_loss(work.asking) / READING_COUNTS
            loss = work.ranking_loss() + READING_COUNTS * reading
        schedule.step(loss)
        progress.add(loss.item(), work.step)
        if number % 400 == 0:
            torch.save(model.state_dict(), options.output)


def fit_upper(model: Model, tokenizer: Tokenizer, stories: list[Story], options: argparse.Namespace) -> None:
    """The upper layers alone, on reading: many small steps over states that stay as they are, all in four bits."""
    rng = random.Random(options.seed)
    steps = steps_of(stories, rng, options)
    upper = [m for m in model.layers[LOWER:].modules() if isinstance(m, RoundedLinear)]
    model.round_weights()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        model.prepare()
    for layer in model.layers[:LOWER]:
        layer.requires_grad_(False)
    groups = parameter_groups(model, options.rate, options.heads)
    schedule, progress = Schedule(groups, UPDATES * len(steps), options.hold), Progress(len(steps))
    for number, (story, rows, extra) in enumerate(steps, 1):
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            work = work_of(model, tokenizer, story, rows, extra, rng)
        pairs = sorted(work.reading, key=lambda p: len(work.step.encodings[p.passage].ids))
        losses = []
        for at in rng.sample(range(UPDATES), UPDATES):
            reading = pairs[len(pairs) * at // UPDATES : len(pairs) * (at + 1) // UPDATES]
            with torch.autocast("cpu", dtype=torch.bfloat16):
                for layer in upper:
                    layer.prepare()
                loss = work.step.reading_loss(reading, 0.25) + work.step.asking_loss(work.asking[at::UPDATES])
            schedule.step(loss)
            losses.append(loss.item())
        if number % (ROUNDED_EVERY // UPDATES) == 0:
            for layer in upper:
                layer.round_weight()
        progress.add(sum(losses) / len(losses), work.step)


@torch.no_grad()
def evaluate(model: Model, tokenizer: Tokenizer, stories: list[Story]) -> str:
    """Right line on top and among three; of three lines read: right words, and area under the curve of refusing."""
    model.eval()
    model.prepare()
    top = among = right = total = 0
    speaks: list[tuple[float, bool]] = []
    for story in stories:
        step = Step(model, tokenizer, story.weights(tokenizer), list(story.lines), [row.message for row in story.rows])
        ranks = step.to_lines()
        order = ranks.argsort(dim=1, descending=True)[:, :3].tolist()
        pairs = [Pair(i, at, SILENT) for i, best in enumerate(order) for at in best]
        verdict, start, end = step.read(pairs)
        certain = verdict.softmax(-1)
        for i, row in enumerate(story.rows):
            read = range(3 * i, 3 * i + len(order[i]))
            best = max(
                read, key=lambda p: SHARPNESS * float(ranks[i, pairs[p].passage]) - 2 * float(certain[p, SILENT])
            )
            if row.kind in ("answerable", "unanswerable", "off_topic"):
                speaks.append((float(1 - certain[best, SILENT]), row.kind == "answerable"))
            if row.kind != "answerable" or row.line not in story.numbers:
                continue
            total += 1
            top += story.numbers[order[i][0]] == row.line
            among += row.line in [story.numbers[at] for at in order[i]]
            passage = pairs[best].passage
            spans = (start[best, :, None] + end[best, None, :]).triu()
            spans = spans + torch.full_like(spans, -1e5).tril(-1)
            first, last = divmod(int(spans.argmax()), spans.shape[1])
            offsets = step.encodings[passage].offsets
            words = story.lines[passage][offsets[first][0] : offsets[last][1]]
            gold, said = set(row.span.lower().split()), set(words.lower().split())
            same = 2 * len(gold & said) / max(1, len(gold) + len(said)) >= 0.4
            right += same and story.numbers[passage] == row.line
    model.train()
    wins = sum(a > b for a, yes in speaks if yes for b, other in speaks if not other)
    pairs_compared = sum(yes for _, yes in speaks) * sum(not yes for _, yes in speaks)
    return (
        f"line on top {top / total:.3f}, among three {among / total:.3f}, right words {right / total:.3f}, "
        f"area {wins / max(1, pairs_compared):.3f} of {total}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=("pairs", "stories", "upper"))
    parser.add_argument("--base", type=Path, required=True, help="folder of all-mpnet-base-v2 (safetensors, tokenizer)")
    parser.add_argument("--data", type=Path, required=True, help="folder with stories, rows, rows2 and qamr")
    parser.add_argument("--own", type=Path, nargs="*", default=[], help="folders of NAME.rows and NAME.facts")
    parser.add_argument("--start", type=Path, help="weights of an earlier stage")
    parser.add_argument("--questions", type=int, default=12000, help="questions taken for the first stage")
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--rate", type=float, default=3e-5)
    parser.add_argument("--hold", type=float, default=0.0, help="share of the steps before the rate falls, below 1")
    parser.add_argument("--heads", type=float, default=HEADS_FASTER, help="how much faster the heads learn")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--whole", type=float, default=1.0, help="share of the steps before weights are four bits")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    torch.manual_seed(SEED)
    model, tokenizer = Model(options.base), tokenizer_at(options.base)
    if options.start:
        model.load_state_dict(torch.load(options.start, weights_only=True))
    held = held_out_stories(options.data)
    if options.stage == "pairs":
        stories = qamr_stories(options.data / "qamr", options.questions, SEED)
    else:
        stories = training_stories(options.data, options.own)
    print(f"{len(stories)} stories, {sum(len(s.rows) for s in stories)} rows", flush=True)
    model.train()
    (fit_upper if options.stage == "upper" else fit)(model, tokenizer, stories, options)
    torch.save(model.state_dict(), options.output)
    print("held out:", evaluate(model, tokenizer, held[::3]), flush=True)


if __name__ == "__main__":
    main()
