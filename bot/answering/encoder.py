"""The encoder: texts to states for the reader and to vectors for ranking.

The lower nine layers of all-mpnet-base-v2, trained further, with weights of four bits. Song et al., MPNet
(NeurIPS 2020); Reimers and Gurevych, Sentence-BERT (EMNLP 2019); Cao et al., DeFormer (ACL 2020): what a story holds is
encoded once, and the layers above read it together with each message. An article's passages are encoded together, in
windows: who "she" is mostly stands in the paragraph before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxruntime import RunOptions
from tokenizers import Tokenizer

from bot.answering.session import load_session
from bot.errors import ModelError

MODELS = Path(__file__).resolve().parent.parent / "models"
TEXT_DIMENSIONS = 256
MAX_TOKENS = 160  # as in training; a paragraph of a hundred words
WINDOW_TOKENS = 384  # as in training; half of an article. Attention costs little beside the layers up to some hundreds
CONTEXT_TOKENS = 96  # of them at the beginning, a paragraph or two that the window before holds too

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

    `ids` [tokens] and unit `tokens` [tokens, 128], half precision, for late interaction, both without the two marker
    tokens; unit `mean` [256]. For the reader (no row where a text is only ranked) `states` [tokens + 2, 768], whole
    numbers of eight bits, and `steps` [tokens + 2, 1], what each token's numbers count by: as the reader's products of
    matrices take them, and half the memory of half precision.
    """

    ids: NDArray[np.int64]
    tokens: NDArray[np.float16]
    mean: Floats
    states: NDArray[np.int8]
    steps: Floats

    def read_states(self) -> Floats:
        """The states as the reader takes them, [tokens + 2, 768]."""
        return self.states * self.steps

    def for_ranking(self) -> Encoding:
        """The same without the states, which are nine tenths of it."""
        return replace(self, states=np.zeros((0, self.states.shape[1]), np.int8), steps=np.zeros((0, 1), np.float32))

    def for_reading(self) -> Encoding:
        """The same without the token vectors, which an index keeps."""
        return replace(self, tokens=np.zeros((0, self.tokens.shape[1]), np.float16))


def in_eight_bits(states: Floats) -> tuple[NDArray[np.int8], Floats]:
    """States [tokens, 768] as whole numbers from -127 to 127, and what each token's count by, [tokens, 1]."""
    steps: Floats = np.maximum(np.abs(states).max(axis=1, keepdims=True), 1e-6) / 127
    return np.rint(states / steps).astype(np.int8), steps


@dataclass(frozen=True)
class Window:
    """Passages of an article that are encoded together, by their token ids; the first `context` only as what precedes.

    Each passage holds two marker tokens, at its ends; in the window one stands between two passages.
    """

    passages: tuple[tuple[int, ...], ...]
    context: int

    @property
    def ids(self) -> tuple[int, ...]:
        """The token ids of all passages, one behind the other."""
        return (self.passages[0][0], *(token for passage in self.passages for token in passage[1:]))

    @property
    def bounds(self) -> list[tuple[int, int]]:
        """Where each passage behind the context begins and ends among the ids, with a marker at both ends."""
        ends = np.cumsum([len(passage) - 1 for passage in self.passages]).tolist()
        return [(last - len(p) + 1, last + 1) for last, p in zip(ends, self.passages, strict=True)][self.context :]


def windows_of(passages: Sequence[tuple[int, ...]]) -> list[Window]:
    """An article's passages, as token ids, in windows; each passage stands in one, and once more as context at most."""
    sizes, windows, first = [len(passage) - 1 for passage in passages], [], 0
    while first < len(passages):
        begin, end = first, first + 1
        while begin and sum(sizes[begin - 1 : first]) <= CONTEXT_TOKENS:
            begin -= 1
        while end < len(passages) and 1 + sum(sizes[begin : end + 1]) <= WINDOW_TOKENS:
            end += 1
        windows.append(Window(tuple(passages[begin:end]), first - begin))
        first = end
    return windows


class Encoder:
    """The lower half of the model, over texts of one length at a time: without padding, none depends on another."""

    def __init__(self, folder: Path = MODELS) -> None:
        self._folder = folder
        self._session = load_session(folder, "encoder")
        # A window needs ten times the memory of a message, once a story: it is given back.
        self._lean = RunOptions()
        self._lean.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self.tokenizer = load_tokenizer(folder)
        self.tokenizer.enable_truncation(MAX_TOKENS)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that an encoding depends on: what a cache of encodings is keyed by."""
        found = hashlib.sha256(f"{MAX_TOKENS} {WINDOW_TOKENS} {CONTEXT_TOKENS}".encode())
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
        """The encodings of texts, given as token ids, that have the same number of tokens."""
        return [encoding for (encoding,) in self._run(texts, [(0, len(texts[0]))])]

    def encode_window(self, window: Window) -> list[Encoding]:
        """The encodings of a window's passages, without those of its context."""
        return self._run([window.ids], window.bounds, self._lean)[0]

    def _run(
        self, texts: Sequence[Sequence[int]], bounds: Sequence[tuple[int, int]], options: RunOptions | None = None
    ) -> list[list[Encoding]]:
        """The encodings of parts of each text, from a first to behind a last token, markers at both ends."""
        ids = np.array(texts, dtype=np.int64)
        at = np.arange(ids.shape[1])
        inside = np.array([(first <= at) & (at < last) for first, last in bounds], np.float32)
        shares = inside / inside.sum(axis=1, keepdims=True)
        given = {"ids": ids, "shares": shares}
        states, tokens, means = self._session.run(["states", "tokens", "means"], given, options)

        def part(text: int, number: int, first: int, last: int) -> Encoding:
            inner = slice(first + 1, last - 1) if last - first > 2 else slice(first, last)
            vectors = tokens[text, inner].astype(np.float16)
            return Encoding(ids[text, inner], vectors, means[text, number], *in_eight_bits(states[text, first:last]))

        return [[part(i, n, *ends) for n, ends in enumerate(bounds)] for i in range(len(texts))]
