"""Print what the constants of the matcher rest on: how close messages come to a story, a fact, a gap.

python -m training.constants --data TRAIN --tables training/data/tables

On the held-out articles that a table was written for, by a hand that had not seen the rows; off-topic rows are also
taken from the other held-out articles.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from bot.answering.index import FACTS_COMPARED, StoryIndex
from bot.answering.responder import OFF_TOPIC_UNKNOWN
from bot.answering.text import clean
from bot.answering.vocabulary import Vocabulary
from training.calibrate import is_right, is_told, models, written_story
from training.examples import held_out_names, is_held_out, rows_of

SHARES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


def told(name: str, values: list[float]) -> None:
    """The quantiles of some values."""
    found = np.quantile(values, SHARES) if values else []
    print(f"{name:46s}{len(values):5d} " + " ".join(f"{value:6.3f}" for value in found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tables", type=Path, required=True)
    options = parser.parse_args()
    encoder = models().encoder
    english = encoder.tokenizer.get_vocab()
    found: dict[str, list[float]] = defaultdict(list)
    names = held_out_names(options.data)
    for path in sorted(p for p in options.tables.glob("*.facts") if is_held_out(p.stem)):
        story = written_story(options.data, path)
        index = StoryIndex(story, encoder, None, english)
        vocabulary = Vocabulary([p.text for p in index.passages], story.table, english)
        found["usual lead"].append(index.usual_lead)
        found["another wording of a question"] += index.kinship.tolist()
        strange = [
            row
            for name in names
            if name != story.name
            for row in rows_of(options.data, name)
            if row.kind == "off_topic"
        ]
        for row in [*rows_of(options.data, story.name), *strange]:
            message = vocabulary.normalised(clean(row.message))
            ranking = index.rank(message)
            scores = [near.score for near in ranking.facts]
            if vocabulary.unknown_share(message) >= OFF_TOPIC_UNKNOWN:
                found[f"strange words: best line, {row.kind}"].append(max(ranking.ranks))
            on_line = [
                rank for rank, passage in zip(ranking.ranks, index.passages, strict=True) if passage.line == row.line
            ]
            if row.kind == "answerable" and on_line:
                found["right line behind the closest by"].append(max(ranking.ranks) - max(on_line))
            right = [i for i, near in enumerate(ranking.facts) if is_right(row, near.fact.line, near.fact.answer)]
            if row.kind == "answerable" and is_told(row, story):
                found[f"right fact not among {FACTS_COMPARED}"].append(float(not right))
                if right:
                    found["place of the right fact (from 0)"].append(right[0])
                    found["right fact behind the closest by"].append(scores[0] - scores[right[0]])
            found[f"closest gap, {row.kind}"].append(ranking.gap_score)
    print(f"{'':46s}{'':5s} " + " ".join(f"{share:6.2f}" for share in SHARES))
    for name, values in sorted(found.items()):
        told(name, values)


if __name__ == "__main__":
    main()
