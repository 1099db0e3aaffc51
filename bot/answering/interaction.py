"""Late interaction: score a message against many texts by their token vectors.

Khattab and Zaharia, ColBERT (SIGIR 2020), with inverse document frequency as weights of the message's tokens:
score = Σ_t idf(t) · max_u cos(t, u) / Σ_t idf(t) over the message's tokens t and a text's tokens u.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bot.answering.encoder import Encoding, Floats
from bot.answering.text import STOP_WORDS

STOP_WEIGHT = 0.05  # a stop word or a mark breaks ties, it does not carry a match


class TokenWeights:
    """Inverse document frequency of a story's tokens: ln(1 + N / (1 + n)) over its N sentences."""

    def __init__(self, sentences: Sequence[Encoding], vocabulary: dict[int, str]) -> None:
        counts: dict[int, int] = {}
        for encoding in sentences:
            for token in set(encoding.ids.tolist()):
                counts[token] = counts.get(token, 0) + 1
        self._counts, self._total, self._vocabulary = counts, max(1, len(sentences)), vocabulary

    def __call__(self, encoding: Encoding) -> Floats:
        """A weight for every token of a message, [tokens]."""
        return np.array([self._weight(token) for token in encoding.ids.tolist()], dtype=np.float32)

    def _weight(self, token: int) -> float:
        piece = self._vocabulary.get(token, "")
        bare = piece.removeprefix("##")
        if not bare.isalnum() or (bare == piece and piece in STOP_WORDS):
            return STOP_WEIGHT
        return float(np.log(1 + self._total / (1 + self._counts.get(token, 0))))


class TextIndex:
    """Encoded texts, ready to be scored against a message in one pass."""

    def __init__(self, encodings: Sequence[Encoding]) -> None:
        self._size = len(encodings)
        if not encodings:
            return
        self._states = np.concatenate([e.states for e in encodings])
        self._starts = np.concatenate([[0], np.cumsum([len(e.ids) for e in encodings])[:-1]]).astype(np.intp)
        self._means = np.stack([e.mean for e in encodings])

    def scores(self, message: Encoding, weights: Floats) -> Floats:
        """One score a text, about 0..1: late interaction twice, cosine of the means once. Shape [texts]."""
        if not self._size:
            return np.zeros(0, dtype=np.float32)
        similar = np.maximum.reduceat(self._states @ message.states.T, self._starts, axis=0)
        interaction = similar @ (weights / weights.sum())
        mixed: Floats = (2 * interaction + self._means @ message.mean) / 3
        return mixed
