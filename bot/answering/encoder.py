"""The encoder: texts to states for the reader and to vectors for ranking.

The lower nine layers of all-mpnet-base-v2, trained further, with weights of four bits. Song et al., MPNet
(NeurIPS 2020); Reimers and Gurevych, Sentence-BERT (EMNLP 2019); Cao et al., DeFormer (ACL 2020): what a story holds is
encoded once, by itself, and the layers above read it together with each message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from bot.answering.session import load_session
from bot.errors import ModelError

MODELS = Path(__file__).resolve().parent.parent / "models"
TEXT_DIMENSIONS = 256
MAX_TOKENS = 160  # as in training; a paragraph of a hundred words

Floats = NDArray[np.float32]


def load_tokenizer(folder: Path = MODELS) -> Tokenizer:
    """The model's WordPiece tokenizer, without padding. Raises ModelError."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ModelError(f"The model file {path} is missing: install the package again.")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises a bare Exception for a damaged file
        raise ModelError(f"The model file {path} is damaged: install the package again.") from error
    tokenizer.no_padding()
    return tokenizer


@dataclass(frozen=True)
class Encoding:
    """A text as the models see it.

    `ids` [tokens] and unit `tokens` [tokens, 128] for late interaction, both without the two marker tokens; unit `mean`
    [256]; `states` [tokens + 2, 768], half precision, for the reader (no row where a text is only ranked).
    """

    ids: NDArray[np.int64]
    tokens: Floats
    mean: Floats
    states: NDArray[np.float16]

    def for_ranking(self) -> Encoding:
        """The same without the states, which are nine tenths of it."""
        return replace(self, states=np.zeros((0, self.states.shape[1]), np.float16))


class Encoder:
    """The lower half of the model, over texts of one length at a time: without padding, none depends on another."""

    def __init__(self, folder: Path = MODELS) -> None:
        self._folder = folder
        self._session = load_session(folder, "encoder")
        self.tokenizer = load_tokenizer(folder)
        self.tokenizer.enable_truncation(MAX_TOKENS)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that an encoding depends on: what a cache of encodings is keyed by."""
        found = hashlib.sha256(f"{MAX_TOKENS}".encode())
        for name in ("encoder.onnx", "encoder.int4.npz", "tokenizer.json"):
            with (self._folder / name).open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
        return found.hexdigest()

    def offsets(self, text: str) -> tuple[tuple[int, int], ...]:
        """Where each token of a text stands in it, the two marker tokens at (0, 0)."""
        return tuple(self.tokenizer.encode(text).offsets)

    def ids(self, text: str) -> tuple[int, ...]:
        """The token ids of a text, the two marker tokens with them."""
        return tuple(self.tokenizer.encode(text).ids)

    def encode(self, text: str) -> Encoding:
        """The encoding of a text (an empty one keeps its two marker tokens for ranking)."""
        return self.encode_alike([self.ids(text)])[0]

    def encode_alike(self, texts: Sequence[Sequence[int]]) -> list[Encoding]:
        """The encodings of texts, given as token ids, that have the same number of tokens.

        Half precision throughout, so that an encoding from the cache gives the same scores.
        """
        ids = np.array(texts, dtype=np.int64)
        states, tokens, means = self._session.run(["states", "tokens", "mean"], {"ids": ids})
        inner = slice(1, -1) if ids.shape[1] > 2 else slice(None)
        halved = tokens[:, inner].astype(np.float16).astype(np.float32)
        # Each with states of its own, so that none keeps those of its batch in memory.
        rows = zip(ids[:, inner], halved, means, states, strict=True)
        return [Encoding(row, vectors, mean, own.astype(np.float16)) for row, vectors, mean, own in rows]
