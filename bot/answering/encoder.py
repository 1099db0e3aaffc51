"""The encoder: texts to states for the reader and to vectors for ranking.

The lower nine layers of all-mpnet-base-v2, trained further, as an ONNX file with four-bit weights. Song et al., MPNet
(NeurIPS 2020); Reimers and Gurevych, Sentence-BERT (EMNLP 2019); Cao et al., DeFormer (ACL 2020): what a story holds is
encoded once, by itself, and the layers above read it together with each message.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

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


def load_session(path: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """An inference session on the CPU with a bounded number of threads. Raises ModelError."""
    if not path.is_file():
        raise ModelError(f"The model file {path} is missing: install the package again.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False  # costs a tenth of the speed, saves half of the peak memory
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        raise ModelError(f"The model file {path} is damaged: install the package again.") from error


@dataclass(frozen=True)
class Encoding:
    """A text as the models see it.

    `ids` [tokens] and unit `tokens` [tokens, 128] for late interaction, both without the two marker tokens; unit `mean`
    [256]; `states` [tokens + 2, 768], half precision, for the reader.
    """

    ids: NDArray[np.int64]
    tokens: Floats
    mean: Floats
    states: NDArray[np.float16]


class Encoder:
    """One text at a time, so that a text's vectors do not depend on what is encoded beside it."""

    def __init__(self, folder: Path = MODELS, threads: int = 1) -> None:
        self._path = folder / "encoder.int4.onnx"
        self._session = load_session(self._path, threads)
        self.tokenizer = load_tokenizer(folder)
        self.tokenizer.enable_truncation(MAX_TOKENS)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the model file: what a cache of encodings is keyed by."""
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def offsets(self, text: str) -> tuple[tuple[int, int], ...]:
        """Where each token of a text stands in it, the two marker tokens at (0, 0)."""
        return tuple(self.tokenizer.encode(text).offsets)

    def encode(self, text: str) -> Encoding:
        """The encoding of a text (an empty one keeps its two marker tokens for ranking).

        Half precision throughout, so that an encoding from the cache gives the same scores.
        """
        ids = np.array([self.tokenizer.encode(text).ids], dtype=np.int64)
        states, tokens, mean = self._session.run(["states", "tokens", "mean"], {"ids": ids})
        inner = slice(1, -1) if ids.shape[1] > 2 else slice(None)
        halved = tokens[0][inner].astype(np.float16).astype(np.float32)
        return Encoding(ids[0][inner], halved, mean[0], states[0].astype(np.float16))
