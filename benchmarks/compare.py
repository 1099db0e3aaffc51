"""Accuracy and speed of the bot beside its peers, on the same messages in the same run.

python -m benchmarks.compare ROWS.jsonl --story seeds/north-korea-troops.txt

A peer ranks the article's sentences and answers with the best one. "cited" is the share of answerable messages whose
best sentence lies on an accepted line; "cited at refusal" is that share when the peer's score has a cut-off that
refuses as many of the unanswerable messages as the bot refuses. Time is the median of a message, as a ratio to the
slowest rapidfuzz scorer.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rank_bm25 import BM25Okapi
from rapidfuzz import fuzz, utils
from thefuzz import fuzz as thefuzz

from bot.answering.cache import default_cache_folder
from bot.answering.matcher import Models
from bot.answering.reply import Answer
from bot.answering.responder import build_responder
from bot.answering.text import content_words, stem
from bot.evaluation import Expected, read_conversations
from bot.story.library import Story, find_story, load_story, seeds_folder

Scorer = Callable[[str], Sequence[float]]


@dataclass(frozen=True)
class Outcome:
    """For every message: the cited line (0 for none), the score, and the seconds it took."""

    lines: list[int]
    scores: list[float]
    seconds: list[float]


def peers(story: Story, models: Models) -> dict[str, Scorer]:
    """Peers by name; each gives a score for every sentence of the article."""
    texts = [s.text for s in story.article.sentences]
    processed = [utils.default_process(text) for text in texts]

    def words_of(text: str) -> list[str]:
        return [stem(word) for word in content_words(text)]

    bm25 = BM25Okapi([words_of(text) for text in texts])
    means = np.stack([models.encoder.encode(text).mean for text in texts])

    def fuzzy(scorer: Callable[..., float]) -> Scorer:
        return lambda message: [scorer(utils.default_process(message), text) for text in processed]

    return {
        "rapidfuzz WRatio": fuzzy(fuzz.WRatio),
        "rapidfuzz token_sort_ratio": fuzzy(fuzz.token_sort_ratio),
        "rapidfuzz token_set_ratio": fuzzy(fuzz.token_set_ratio),
        "thefuzz token_set_ratio": lambda message: [thefuzz.token_set_ratio(message, text) for text in texts],
        "BM25 on stems": lambda message: bm25.get_scores(words_of(message)).tolist(),
        "cosine of our encoder": lambda message: (means @ models.encoder.encode(message).mean).tolist(),
    }


def run_peer(scorer: Scorer, story: Story, rows: Sequence[Expected]) -> Outcome:
    lines, scores, seconds = [], [], []
    for row in rows:
        begun = time.perf_counter()
        found = scorer(row.message)
        top = max(range(len(found)), key=lambda i: (found[i], -i))
        seconds.append(time.perf_counter() - begun)
        lines.append(story.article.sentences[top].line)
        scores.append(float(found[top]))
    return Outcome(lines, scores, seconds)


def run_bot(story: Story, models: Models, rows: Sequence[Expected]) -> Outcome:
    responder = build_responder(story, models)
    responder.respond("warm up")
    lines, scores, seconds = [], [], []
    for row in rows:
        begun = time.perf_counter()
        reply = responder.respond(row.message).reply
        seconds.append(time.perf_counter() - begun)
        lines.append(reply.sources[0].line if isinstance(reply, Answer) else 0)
        scores.append(1.0 if isinstance(reply, Answer) else 0.0)
    return Outcome(lines, scores, seconds)


def cited(outcome: Outcome, rows: Sequence[Expected], cutoff: float) -> float:
    """Share of the answerable rows answered from an accepted line with a score of at least `cutoff`."""
    told = [
        line in row.lines and score >= cutoff
        for row, line, score in zip(rows, outcome.lines, outcome.scores, strict=True)
        if row.kind == "answerable"
    ]
    return sum(told) / max(1, len(told))


def refused(outcome: Outcome, rows: Sequence[Expected], cutoff: float) -> float:
    """Share of the rows without an answer that score below `cutoff`."""
    none = [
        s < cutoff for row, s in zip(rows, outcome.scores, strict=True) if row.kind in ("unanswerable", "off_topic")
    ]
    return sum(none) / max(1, len(none))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, nargs="+")
    parser.add_argument("--story")
    options = parser.parse_args()
    rows = [row for path in options.rows for conversation in read_conversations(path) for row in conversation]
    story = load_story(find_story(options.story, seeds_folder()))
    models = Models.load(cache=default_cache_folder())
    ours = run_bot(story, models, rows)
    level = refused(ours, rows, 0.5)
    outcomes = {name: run_peer(scorer, story, rows) for name, scorer in peers(story, models).items()}
    unit = max(statistics.median(o.seconds) for name, o in outcomes.items() if name.startswith("rapidfuzz"))
    print(f"{len(rows)} messages about {story.name}; time in units of {1000 * unit:.2f} ms")
    print("| matcher | cited, refusing nothing | refused | cited at that refusal | time, median | time, 99th |")
    print("|---|---|---|---|---|---|")
    for name, outcome in outcomes.items():
        cutoffs = [s + 1e-9 for s in sorted(outcome.scores)]
        cutoff = next(c for c in cutoffs if refused(outcome, rows, c) >= level)
        print(row_of(name, cited(outcome, rows, -1e9), level, cited(outcome, rows, cutoff), outcome, unit))
    print(row_of("Sourceline", float("nan"), level, cited(ours, rows, 0.5), ours, unit))


def row_of(name: str, freely: float, level: float, kept: float, outcome: Outcome, unit: float) -> str:
    middle, slow = statistics.median(outcome.seconds) / unit, float(np.quantile(outcome.seconds, 0.99)) / unit
    free = "–" if freely != freely else f"{freely:.2f}"
    return f"| {name} | {free} | {level:.2f} | {kept:.2f} | ×{middle:.2f} | ×{slow:.2f} |"


if __name__ == "__main__":
    main()
