"""Train the reader: first on public pairs, then on readers' messages.

python -m training.train pairs --base MINILM --data TRAIN -o pairs.pt
python -m training.train rows  --base MINILM --data TRAIN --own training/data --start pairs.pt -o rows.pt
python -m training.train facts --base MINILM --data TRAIN --own training/data --start rows.pt -o reader.pt
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Encoding, Tokenizer
from torch.nn import functional

from training.examples import (
    SILENT,
    Example,
    Row,
    fact_examples,
    is_held_out,
    qamr_examples,
    read_json_rows,
    read_piped_rows,
    read_table_rows,
    roughened,
    row_examples,
)
from training.model import Reader
from training.rank import Ranker, passages
from training.shipped import load
from training.statements import statement_examples

SEED = 20250428
BATCH = 32
STATEMENTS = 8  # changed statements an article and epoch: about as many as the article has rows with a wrong premise
MESSAGE_TOKENS, PAIR_TOKENS = 48, 176  # 99 % of the rows and of the passages are shorter


def tokenizer_at(base: Path) -> Tokenizer:
    """The tokenizer of the base model, cutting the passage, never the message."""
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(PAIR_TOKENS, strategy="only_second")
    return tokenizer


def cut_message(message: str) -> str:
    """The first words of a message, few enough to leave room for the passage."""
    return " ".join(message.split()[:MESSAGE_TOKENS])


def token_span(encoding: Encoding, example: Example) -> tuple[int, int]:
    """First and last token of the answer; (0, 0), the class token, where there is none or it was cut off."""
    if example.label == SILENT:
        return 0, 0
    inside = [
        i
        for i, (segment, (start, end)) in enumerate(zip(encoding.sequence_ids, encoding.offsets, strict=True))
        if segment == 1 and end > example.start and start < example.end
    ]
    return (inside[0], inside[-1]) if inside else (0, 0)


def batches(
    examples: list[Example], tokenizer: Tokenizer, rng: random.Random
) -> Iterator[tuple[list[Encoding], list[Example]]]:
    """Batches of pairs of similar length, in random order."""
    keyed = sorted(examples, key=lambda e: len(e.passage) + len(e.message) + rng.random() * 40)
    groups = [keyed[i : i + BATCH] for i in range(0, len(keyed), BATCH)]
    rng.shuffle(groups)
    for group in groups:
        yield tokenizer.encode_batch([(cut_message(e.message), e.passage) for e in group]), group


def tensors(encodings: list[Encoding]) -> dict[str, torch.Tensor]:
    """Padded inputs of the model, each [batch, longest]."""
    longest = max(len(e.ids) for e in encodings)

    def padded(values: list[list[int]]) -> torch.Tensor:
        return torch.tensor([v + [0] * (longest - len(v)) for v in values])

    return {
        "input_ids": padded([e.ids for e in encodings]),
        "attention_mask": padded([e.attention_mask for e in encodings]),
        "token_type_ids": padded([e.type_ids for e in encodings]),
    }


def loss_of(model: Reader, encodings: list[Encoding], group: list[Example]) -> torch.Tensor:
    """Class loss plus span loss; a silent pair has its span at the class token, as in SQuAD 2."""
    inputs = tensors(encodings)
    verdict, start, end = model(**inputs)
    outside = (inputs["token_type_ids"] == 0) | (inputs["attention_mask"] == 0)
    outside[:, 0] = False
    start, end = start.masked_fill(outside, -1e4), end.masked_fill(outside, -1e4)
    spans = torch.tensor([token_span(e, x) for e, x in zip(encodings, group, strict=True)])
    labels = torch.tensor([x.label for x in group])
    return functional.cross_entropy(verdict, labels, label_smoothing=0.03) + 0.5 * (
        functional.cross_entropy(start, spans[:, 0]) + functional.cross_entropy(end, spans[:, 1])
    )


def fit(model: Reader, tokenizer: Tokenizer, epochs: list[list[Example]], rate: float, say: str) -> None:
    """AdamW with a linear warm-up over the first 6 % of the steps and a linear decay to zero."""
    steps = sum(-(-len(examples) // BATCH) for examples in epochs)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate, weight_decay=0.01)
    warm = max(1, int(0.06 * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, max(0.0, (steps - step) / max(1, steps - warm)))
    )
    rng, begun, step, running = random.Random(SEED), time.monotonic(), 0, 0.0
    model.train()
    for examples in epochs:
        for encodings, group in batches(examples, tokenizer, rng):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = loss_of(model, encodings, group)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            step += 1
            running += (loss.item() - running) / min(step, 50)
            if step % 50 == 0:
                print(f"{say} step {step}/{steps} loss {running:.3f} {time.monotonic() - begun:.0f} s", flush=True)


def training_rows(data: Path, extra: list[Path]) -> list[tuple[Path, Row]]:
    """Every row of the articles that are not held out, with the path of its article."""
    rows = []
    for folder in ("rows", "rows2"):
        for path in sorted((data / folder).glob("*.jsonl")):
            rows += [(data / "stories" / f"{path.stem}.txt", row) for row in read_json_rows(path)]
    for folder in extra:
        for path in sorted(folder.glob("*.rows")):
            beside = path.with_suffix(".txt")
            article = beside if beside.exists() else data / "stories" / f"{path.stem}.txt"
            rows += [(article, row) for row in read_piped_rows(path)]
        for path in sorted(folder.glob("*.facts")):
            rows += [(data / "stories" / f"{path.stem}.txt", row) for row in read_table_rows(path)]
    return [(article, row) for article, row in rows if not is_held_out(row.story)]


def row_epoch(rows: list[tuple[Path, Row]], ranker: Ranker, rng: random.Random, negatives: int) -> list[Example]:
    """One epoch of examples: every row roughened anew, against its closest passages."""
    examples = []
    for article, row in rows:
        lines = passages(article)
        ranked = [i for i in ranker.ranked(article, row.message) if lines[i]]
        if row.kind == "off_topic":
            rng.shuffle(ranked)
        rough = Row(row.story, roughened(row.message, rng), row.kind, row.line, row.span)
        examples += row_examples(rough, lines, ranked, negatives)
    return examples


def fact_epoch(rows: list[tuple[Path, Row]], ranker: Ranker, rng: random.Random, negatives: int) -> list[Example]:
    """One epoch of examples in which every row meets facts made of the other rows of its story."""
    stories: dict[Path, list[Row]] = {}
    for article, row in rows:
        stories.setdefault(article, []).append(row)
    examples = []
    for members in stories.values():
        facts = [row for row in members if row.kind == "answerable" and row.span]
        if not facts:
            continue
        vectors = torch.stack([ranker.vector(fact.message) for fact in facts])
        for row in members:
            order = torch.argsort(-(vectors @ ranker.vector(row.message)), stable=True).tolist()
            others = [facts[i] for i in order if facts[i].message != row.message]
            rough = Row(row.story, roughened(row.message, rng), row.kind, row.line, row.span)
            examples += fact_examples(rough, others, negatives)
    return examples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=("pairs", "rows", "facts"))
    parser.add_argument("--base", type=Path, required=True, help="folder of all-MiniLM-L6-v2 (safetensors, tokenizer)")
    parser.add_argument("--data", type=Path, required=True, help="folder with stories, rows, rows2 and qamr")
    parser.add_argument("--own", type=Path, nargs="*", default=[], help="folders of NAME.rows (with NAME.txt)")
    parser.add_argument("--start", type=Path, help="weights to start from: .pt, or a shipped .onnx")
    parser.add_argument("--positives", type=int, default=24000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--negatives", type=int, default=1)
    parser.add_argument("--rate", type=float, default=5e-5)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    torch.manual_seed(SEED)
    model, tokenizer = Reader(options.base), tokenizer_at(options.base)
    if options.start:
        load(model, options.start)
    if options.stage == "pairs":
        epochs = [qamr_examples(options.data / "qamr", options.positives, SEED)]
    else:
        rows, rng = training_rows(options.data, options.own), random.Random(SEED)
        ranker = Ranker(options.base)
        epochs = [row_epoch(rows, ranker, rng, options.negatives) for _ in range(options.epochs)]
        if options.stage == "facts":
            epochs = [epoch + fact_epoch(rows, ranker, rng, options.negatives) for epoch in epochs]
            articles = sorted({article for article, _ in rows})
            for epoch in epochs:
                for article in articles:
                    epoch += statement_examples(passages(article), STATEMENTS, rng)
        print(f"{len(rows)} rows, {len(epochs[0])} examples an epoch", flush=True)
    fit(model, tokenizer, epochs, options.rate, options.stage)
    torch.save(model.state_dict(), options.output)


if __name__ == "__main__":
    main()
