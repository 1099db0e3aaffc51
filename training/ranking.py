"""Train the encoder for ranking: a message close to the line that answers it and to messages that ask the same.

python -m training.ranking --base MINILM --data TRAIN --own training/data/* -o encoder.pt

A step takes one story: all its lines, and a group of its readers' messages. The score is the one that the bot ranks by
(late interaction twice, cosine once; Khattab and Zaharia, 2020), so the other lines and the other messages of the same
story are the negatives that count. Loss: cross-entropy of the softmax over lines, and over the other messages, where
several may be right.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Encoding, Tokenizer
from torch.nn import functional
from transformers import BertModel

from bot.answering.text import STOP_WORDS
from training.examples import Row, is_held_out, read_json_rows, roughened, same_fact
from training.shipped import load
from training.train import SEED, training_rows

GROUP = 40  # messages a step: with a story's lines about 1,500 tokens
SHARPNESS = 18.0  # scores lie within 0.3 to 0.9: at this factor the softmax can be sure
STOP_WEIGHT = 0.05  # as in the bot
MAX_TOKENS = 160  # as in the bot


@dataclass(frozen=True)
class Texts:
    """Encoded texts: unit token states [texts, tokens, 384], their mask and ids, unit means [texts, 384]."""

    states: torch.Tensor
    mask: torch.Tensor
    ids: torch.Tensor
    means: torch.Tensor


def encoded(bert: BertModel, tokenizer: Tokenizer, texts: list[str]) -> Texts:
    """Without the two marker tokens in states and mask, as the bot does it."""
    encodings: list[Encoding] = tokenizer.encode_batch(texts)
    ids = torch.tensor([e.ids for e in encodings])
    attention = torch.tensor([e.attention_mask for e in encodings])
    hidden = bert(input_ids=ids, attention_mask=attention).last_hidden_state
    means = (hidden * attention[..., None]).sum(1) / attention.sum(1, keepdim=True)
    special = torch.tensor([e.special_tokens_mask for e in encodings])
    mask = attention * (1 - special)
    return Texts(functional.normalize(hidden, dim=-1), mask, ids, functional.normalize(means, dim=-1))


def token_weights(lines: Texts, vocabulary: dict[int, str]) -> dict[int, float]:
    """Inverse document frequency of the story's tokens over its lines; stop words and marks count little."""
    counts: dict[int, int] = defaultdict(int)
    for ids, mask in zip(lines.ids.tolist(), lines.mask.tolist(), strict=True):
        for token in {t for t, m in zip(ids, mask, strict=True) if m}:
            counts[token] += 1
    total = len(lines.ids)
    weights = {}
    for token, piece in vocabulary.items():
        bare = piece.removeprefix("##")
        plain = not bare.isalnum() or (bare == piece and piece in STOP_WORDS)
        weights[token] = STOP_WEIGHT if plain else math.log(1 + total / (1 + counts.get(token, 0)))
    return weights


def scores(messages: Texts, weights: torch.Tensor, texts: Texts) -> torch.Tensor:
    """The bot's ranking scores, [messages, texts]; `weights` [messages, tokens]."""
    similar = torch.einsum("mtd,nud->mntu", messages.states, texts.states)
    similar = similar.masked_fill(texts.mask[None, :, None, :] == 0, -1.0).amax(-1)
    share = weights / weights.sum(1, keepdim=True).clamp(min=1e-6)
    return (2 * torch.einsum("mnt,mt->mn", similar, share) + messages.means @ texts.means.T) / 3


class Stories:
    """Rows by story, with the story's lines that hold words and their token weights."""

    def __init__(self, rows: list[tuple[Path, Row]], bert: BertModel, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.rows: dict[Path, list[Row]] = defaultdict(list)
        for article, row in rows:
            self.rows[article].append(row)
        vocabulary = {number: piece for piece, number in tokenizer.get_vocab().items()}
        self.lines: dict[Path, list[tuple[int, str]]] = {}
        self.weights: dict[Path, torch.Tensor] = {}
        with torch.no_grad():
            for article in self.rows:
                lines = [(n, t) for n, t in enumerate(article.read_text("utf8").split("\n"), 1) if t.strip()]
                self.lines[article] = lines
                weights = token_weights(encoded(bert, tokenizer, [t for _, t in lines]), vocabulary)
                self.weights[article] = torch.tensor([weights[i] for i in range(len(weights))])

    def compare(self, bert: BertModel, article: Path, messages: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores of messages against the article's lines, and against each other."""
        lines = encoded(bert, self.tokenizer, [text for _, text in self.lines[article]])
        asked = encoded(bert, self.tokenizer, messages)
        weights = self.weights[article][asked.ids] * asked.mask
        return scores(asked, weights, lines), scores(asked, weights, asked)


def several_right(logits: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy over rows that have a right column: -log of the probability of all right ones."""
    kept = right.any(1)
    if not kept.any():
        return logits.sum() * 0
    log_p = functional.log_softmax(logits[kept], dim=1)
    return -log_p.masked_fill(~right[kept], -1e9).logsumexp(1).mean()


def matches(rows: list[Row]) -> torch.Tensor:
    """Which messages ask the same, [rows, rows]; a message is not its own match."""
    right = [[i != j and same_fact(one, other) for j, other in enumerate(rows)] for i, one in enumerate(rows)]
    return torch.tensor(right)


def loss_of(bert: BertModel, stories: Stories, article: Path, rows: list[Row], rng: random.Random) -> torch.Tensor:
    to_lines, to_messages = stories.compare(bert, article, [roughened(row.message, rng) for row in rows])
    numbers = [n for n, _ in stories.lines[article]]
    right = torch.tensor([[bool(row.span) and n == row.line for n in numbers] for row in rows])
    itself = torch.eye(len(rows), dtype=torch.bool)
    asking = SHARPNESS * to_messages.masked_fill(itself, -1e3)
    return several_right(SHARPNESS * to_lines, right) + several_right(asking, matches(rows))


def by_line(rows: list[Row], rng: random.Random) -> list[Row]:
    """Rows in random order, those about one line together: what else it says is the hardest to tell apart."""
    place = {number: rng.random() for number in sorted({row.line for row in rows})}
    return sorted(rng.sample(rows, len(rows)), key=lambda row: place[row.line] if row.line else rng.random())


def train(bert: BertModel, stories: Stories, epochs: int, rate: float) -> None:
    """AdamW, warm-up over 10 % of the steps, linear decay; the word vectors stay as published."""
    bert.embeddings.word_embeddings.weight.requires_grad_(False)
    rng, begun = random.Random(SEED), time.monotonic()
    groups = []
    for _ in range(epochs):
        epoch = []
        for article, rows in stories.rows.items():
            mixed = by_line(rows, rng)
            epoch += [(article, mixed[i : i + GROUP]) for i in range(0, len(mixed), GROUP)]
        rng.shuffle(epoch)
        groups += epoch
    optimizer = torch.optim.AdamW([p for p in bert.parameters() if p.requires_grad], lr=rate, weight_decay=0.01)
    warm = max(1, len(groups) // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, (len(groups) - step) / max(1, len(groups) - warm))
    )
    bert.train()
    running = 0.0
    for step, (article, rows) in enumerate(groups, 1):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_of(bert, stories, article, rows, rng)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(bert.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        running += (loss.item() - running) / min(step, 25)
        if step % 25 == 0:
            print(f"step {step}/{len(groups)} loss {running:.3f} {time.monotonic() - begun:.0f} s", flush=True)


@torch.no_grad()
def evaluate(bert: BertModel, stories: Stories) -> str:
    """Right line at the top and among four; a message that asks the same at the top and among six."""
    bert.eval()
    hits, same = [0, 0, 0], [0, 0, 0]
    for article, rows in stories.rows.items():
        asked = [row for row in rows if row.span and row.kind == "answerable"]
        to_lines, to_messages = stories.compare(bert, article, [row.message for row in asked])
        numbers = [n for n, _ in stories.lines[article]]
        for row, order in zip(asked, torch.argsort(-to_lines, dim=1).tolist(), strict=True):
            found = [numbers[i] for i in order]
            hits = [hits[0] + (found[0] == row.line), hits[1] + (row.line in found[:4]), hits[2] + 1]
        right = matches(asked)
        to_messages.fill_diagonal_(-1.0)
        for i, order in enumerate(torch.argsort(-to_messages, dim=1).tolist()):
            if right[i].any():
                same = [same[0] + bool(right[i][order[0]]), same[1] + bool(right[i][order[:6]].any()), same[2] + 1]
    return (
        f"line at top {hits[0] / hits[2]:.3f}, among 4 {hits[1] / hits[2]:.3f} of {hits[2]}; "
        f"same question at top {same[0] / same[2]:.3f}, among 6 {same[1] / same[2]:.3f} of {same[2]}"
    )


def held_out_rows(data: Path) -> list[tuple[Path, Row]]:
    """Rows of the articles that never enter training."""
    return [
        (data / "stories" / f"{path.stem}.txt", row)
        for folder in ("rows", "rows2")
        for path in sorted((data / folder).glob("*.jsonl"))
        if is_held_out(path.stem)
        for row in read_json_rows(path)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--own", type=Path, nargs="*", default=[])
    parser.add_argument("--start", type=Path, help="weights to start from: .pt, or a shipped .onnx")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=3e-5)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    torch.manual_seed(SEED)
    bert = BertModel.from_pretrained(options.base, add_pooling_layer=False, attn_implementation="sdpa")
    if options.start:
        load(bert, options.start)
    tokenizer = Tokenizer.from_file(str(options.base / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    bert.eval()
    held = Stories(held_out_rows(options.data), bert, tokenizer)
    print("held out, before:", evaluate(bert, held), flush=True)
    train(bert, Stories(training_rows(options.data, options.own), bert, tokenizer), options.epochs, options.rate)
    print("held out, after:", evaluate(bert, held), flush=True)
    torch.save(bert.state_dict(), options.output)


if __name__ == "__main__":
    main()
