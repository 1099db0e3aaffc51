"""The encoder: texts to token vectors, by all-MiniLM-L6-v2 as an int8 ONNX file.

Reimers and Gurevych, Sentence-BERT (EMNLP 2019); Wang et al., MiniLM (NeurIPS 2020).
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
DIMENSIONS = 384
MAX_TOKENS = 160  # a sentence of a hundred words; the model was trained on 256 at most

Floats = NDArray[np.float32]


def load_tokenizer(folder: Path = MODELS) -> Tokenizer:
    """The WordPiece tokenizer that both models share, without padding. Raises ModelError."""
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
    """A text's tokens: `ids` [tokens], `states` [tokens, 384] of unit length, `mean` [384] of unit length."""

    ids: NDArray[np.int64]
    states: Floats
    mean: Floats


def unit(vectors: Floats) -> Floats:
    """Vectors scaled to length one along the last axis; a zero vector stays zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True).astype(np.float32)
    scaled: Floats = vectors / np.maximum(norms, 1e-9)
    return scaled


class Encoder:
    """One text at a time: the quantised activations are scaled by batch, so a batch would change a text's vectors."""

    def __init__(self, folder: Path = MODELS, threads: int = 1) -> None:
        self._path = folder / "encoder.int8.onnx"
        self._session = load_session(self._path, threads)
        self.tokenizer = load_tokenizer(folder)
        self.tokenizer.enable_truncation(MAX_TOKENS)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the model file: what a cache of encodings is keyed by."""
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def encode(self, text: str) -> Encoding:
        """The encoding of a text, without the two marker tokens (an empty text keeps them)."""
        encoded = self.tokenizer.encode(text)
        ids = np.array([encoded.ids], dtype=np.int64)
        (states,) = self._session.run(["states"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        mean = unit(states[0].mean(axis=0))
        inner = slice(1, -1) if ids.shape[1] > 2 else slice(None)
        return Encoding(ids[0][inner], unit(states[0][inner]), mean)
