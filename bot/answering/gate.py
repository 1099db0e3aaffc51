"""The gate: from signals to the best candidate, its probability of being right, and one of three outcomes.

Which candidate is best and how sure that is are two questions with weights of their own: what tells two facts of a line
apart says little about whether the story answers at all. The first is a conditional logit (McFadden, 1974), the second
a logistic regression on the candidates that it chose.

One gate for drafted tables and one for reviewed ones. Their weights lie in bot/models/gate.json, written
by training/calibrate.py from readers' messages by cross-validation over stories.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bot.answering.candidates import Signals
from bot.answering.encoder import MODELS
from bot.errors import ModelError

Outcome = Literal["answer", "offer", "refuse"]
MISFIT = 100.0  # what cannot be an answer of the kind asked for comes last, however much else speaks for it


@dataclass(frozen=True)
class Gate:
    """Weights that choose a candidate, weights and bias of how sure that is, and two thresholds (probabilities)."""

    choice: Mapping[str, float]
    weights: Mapping[str, float]
    bias: float
    answer: float
    offer: float

    def preference(self, signals: Signals) -> float:
        """What candidates of one message are ordered by; says nothing beyond them."""
        total = sum(weight * getattr(signals, name) for name, weight in self.choice.items())
        return float(total - MISFIT * signals.type_misfit)

    def probability(self, signals: Signals) -> float:
        """Probability, 0..1, that the candidate is the right answer, given that it is the best of a message."""
        total = self.bias + sum(weight * getattr(signals, name) for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))

    def outcome(self, probability: float) -> Outcome:
        """Answer, offer ("did you mean"), or refuse."""
        if probability >= self.answer:
            return "answer"
        return "offer" if probability >= self.offer else "refuse"


@dataclass(frozen=True)
class Gates:
    """One gate for each kind of table: drafts are read, reviewed questions are matched."""

    drafted: Gate
    reviewed: Gate


def load_gates(folder: Path = MODELS) -> Gates:
    """The gates shipped with the models. Raises ModelError."""
    path = folder / "gate.json"
    try:
        raw = json.loads(path.read_text("utf8"))
        return Gates(drafted=Gate(**raw["drafted"]), reviewed=Gate(**raw["reviewed"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"The model file {path} is missing or damaged: install the package again.") from error
