"""The gate: from signals to the best candidate, its probability of being right, and one of three outcomes.

Which candidate is best and how sure that is are two questions with numbers of their own: what tells two facts of a line
apart says little about whether the story answers at all. The first is a conditional logit (McFadden, 1974), the second
a generalised additive model of the candidates that it chose (Hastie and Tibshirani, 1986; boosted in steps as in Lou et
al., KDD 2012): what a signal is worth depends on its value, but on no other signal, so that it can be read off a table.

One gate for drafted tables and one for reviewed ones. Their numbers lie in bot/models/gate.json, written
by training/calibrate.py from readers' messages by cross-validation over stories.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bot.answering.candidates import Signals
from bot.answering.encoder import MODELS
from bot.errors import ModelError

Outcome = Literal["answer", "offer", "refuse"]
MISFIT = 100.0  # what cannot be an answer of the kind asked for comes last, however much else speaks for it


@dataclass(frozen=True)
class Shape:
    """What a signal adds to the log-odds: `worth[i]` up to the value `at[i]`, the last one beyond all of them."""

    at: tuple[float, ...]
    worth: tuple[float, ...]

    def __call__(self, value: float) -> float:
        """The worth of a value."""
        return self.worth[bisect_left(self.at, value)]


@dataclass(frozen=True)
class Gate:
    """Weights that choose a candidate, shapes and bias of how sure that is, and thresholds (probabilities).

    From `answer` on (`following` for a message that follows another up) it is answered, from `offer` on offered.
    """

    choice: Mapping[str, float]
    shapes: Mapping[str, Shape]
    bias: float
    answer: float
    following: float
    offer: float

    def preference(self, signals: Signals) -> float:
        """What candidates of one message are ordered by; says nothing beyond them."""
        total = sum(weight * getattr(signals, name) for name, weight in self.choice.items())
        return float(total - MISFIT * signals.type_misfit)

    def worth(self, signals: Signals) -> dict[str, float]:
        """What each signal adds to the log-odds of being right."""
        return {name: shape(getattr(signals, name)) for name, shape in self.shapes.items()}

    def probability(self, signals: Signals) -> float:
        """Probability, 0..1, that the candidate is the right answer, given that it is the best of a message."""
        total = self.bias + sum(self.worth(signals).values())
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))

    def outcome(self, probability: float, follows: bool = False) -> Outcome:
        """Answer, offer ("did you mean"), or refuse; `follows` for a message that follows another up."""
        if probability >= (self.following if follows else self.answer):
            return "answer"
        return "offer" if probability >= self.offer else "refuse"


@dataclass(frozen=True)
class Gates:
    """One gate for each kind of table: drafts are read, reviewed questions are matched."""

    drafted: Gate
    reviewed: Gate


def _gate(raw: Mapping[str, Any]) -> Gate:
    shapes = {name: Shape(tuple(shape["at"]), tuple(shape["worth"])) for name, shape in raw["shapes"].items()}
    return Gate(**{**raw, "shapes": shapes})


def load_gates(folder: Path = MODELS) -> Gates:
    """The gates shipped with the models. Raises ModelError."""
    path = folder / "gate.json"
    try:
        raw = json.loads(path.read_text("utf8"))
        return Gates(drafted=_gate(raw["drafted"]), reviewed=_gate(raw["reviewed"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"The model file {path} is missing or damaged: install the package again.") from error
