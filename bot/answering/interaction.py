"""Late interaction: score a message against many texts by their token vectors.

Khattab and Zaharia, ColBERT (SIGIR 2020), with inverse document frequency as weights of the message's tokens:
score = Σ_t idf(t) · max_u cos(t, u) / Σ_t idf(t) over the message's tokens t and a text's tokens u.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bot.answering.encoder import TEXT_DIMENSIONS, Encoding, Floats
from bot.answering.text import STOP_WORDS

STOP_WEIGHT = 0.05  # a stop word or a mark breaks ties, it does not carry a match


def is_filler(piece: str) -> bool:
    """Whether a word piece is a stop word or a mark."""
    bare = piece.removeprefix("##")
    return not bare.isalnum() or (bare == piece and piece in STOP_WORDS)


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
        if is_filler(self._vocabulary.get(token, "")):
            return STOP_WEIGHT
        return float(np.log(1 + self._total / (1 + self._counts.get(token, 0))))


class TextIndex:
    """Encoded texts, ready to be scored against a message in one pass."""

    def __init__(self, encodings: Sequence[Encoding]) -> None:
        self._size = len(encodings)
        self._means = np.zeros((0, TEXT_DIMENSIONS), dtype=np.float32)
        if not encodings:
            return
        self._tokens = np.concatenate([e.tokens for e in encodings], dtype=np.float32)
        self._starts = np.concatenate([[0], np.cumsum([len(e.ids) for e in encodings])[:-1]]).astype(np.intp)
        self._means = np.stack([e.mean for e in encodings])

    @property
    def means(self) -> Floats:
        """The texts' means. Shape [texts, 256]."""
        return self._means

    def cosines(self, message: Encoding) -> Floats:
        """Cosine of the means, one a text. Shape [texts]."""
        found: Floats = self._means @ message.mean
        return found

    def scores(self, message: Encoding, weights: Floats, first: int = 0, last: int | None = None) -> Floats:
        """One score a text from `first` to `last`, about 0..1: late interaction twice, cosine of the means once."""
        texts = range(self._size)[first:last]
        if not texts:
            return np.zeros(0, dtype=np.float32)
        begin = self._starts[texts[0]]
        end = self._starts[texts[-1] + 1] if texts[-1] + 1 < self._size else len(self._tokens)
        starts = self._starts[texts[0] : texts[-1] + 1] - begin
        cosines = self._tokens[begin:end] @ message.tokens.T.astype(np.float32)
        similar = np.maximum.reduceat(cosines, starts, axis=0)
        interaction = similar @ (weights / weights.sum())
        mixed: Floats = (2 * interaction + self._means[texts[0] : texts[-1] + 1] @ message.mean) / 3
        return mixed


@dataclass(frozen=True)
class Closest:
    """The texts of a group that come closest to a message, by their index among all, and their scores; best first."""

    group: int
    texts: tuple[int, ...]
    scores: tuple[float, ...]


class GroupIndex:
    """Texts in groups (the questions of one fact): late interaction is worked out where the cosine is promising."""

    def __init__(self, texts: Sequence[Encoding], sizes: Sequence[int]) -> None:
        """Encoded texts, group after group, and how many texts each group has."""
        self._index = TextIndex(texts)
        self._bounds = np.cumsum([0, *sizes])

    @property
    def means(self) -> Floats:
        """The texts' means, group after group. Shape [texts, 256]."""
        return self._index.means

    def kinship(self) -> Floats:
        """Cosine of each text with the closest other one of its group, where there is one. Shape [texts or fewer]."""
        found = [np.zeros(0, dtype=np.float32)]
        for first, last in pairwise(self._bounds.tolist()):
            if last - first > 1:
                cosines = self.means[first:last] @ self.means[first:last].T
                np.fill_diagonal(cosines, -1)
                found.append(cosines.max(axis=1))
        return np.concatenate(found)

    def closest(self, message: Encoding, weights: Floats, count: int, texts: int = 1) -> list[Closest]:
        """The closest `texts` of each of the `count` groups that lie closest by cosine; best first."""
        starts, cosines = self._bounds[:-1], self._index.cosines(message)
        if not len(cosines):
            return []
        promising = np.argsort(-np.maximum.reduceat(cosines, starts), kind="stable")[:count]
        found = []
        for group in promising.tolist():
            first = int(starts[group])
            scores = self._index.scores(message, weights, first, int(self._bounds[group + 1]))
            best = np.argsort(-scores, kind="stable")[:texts]
            found.append(Closest(group, tuple((first + best).tolist()), tuple(scores[best].tolist())))
        return sorted(found, key=lambda one: -one.scores[0])
