"""Encodings kept on disk: keyed by content, safe with several writers, rebuilt when damaged, optional."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np

from bot.answering.encoder import Encoder, Encoding

MOST_THREADS = 4  # a story is encoded once; a small machine keeps some cores for what it does beside
_FORMAT = "3"  # rises when the arrays of a cache file change


def default_cache_folder() -> Path:
    """`$SOURCELINE_CACHE`, else the user's cache folder (XDG base directories)."""
    named = os.environ.get("SOURCELINE_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "sourceline"


def _key(encoder: Encoder, texts: Sequence[str]) -> str:
    digest = hashlib.sha256(f"{_FORMAT}\0{encoder.digest}".encode())
    for text in texts:
        digest.update(b"\0" + text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]


def _read(path: Path, count: int) -> list[Encoding] | None:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            ids, tokens, means = file["ids"], file["tokens"], file["means"]
            states, bounds = file["states"], file["bounds"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    if bounds.shape != (count + 1, 2) or len(means) != count or tuple(bounds[-1]) != (len(tokens), len(states)):
        return None
    return [
        Encoding(ids[first:last], tokens[first:last].astype(np.float32), means[i], states[begin:end])
        for i, ((first, begin), (last, end)) in enumerate(pairwise(bounds.tolist()))
    ]


def _write(path: Path, encodings: Sequence[Encoding]) -> None:
    """Write beside the target and rename: a second process sees the old file, the new one, or none, never half."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(
                    file,
                    ids=np.concatenate([e.ids for e in encodings]),
                    tokens=np.concatenate([e.tokens for e in encodings]).astype(np.float16),
                    means=np.stack([e.mean for e in encodings]),
                    states=np.concatenate([e.states for e in encodings]),
                    bounds=np.cumsum([(0, 0), *((len(e.ids), len(e.states)) for e in encodings)], axis=0),
                )
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)


def encode_all(encoder: Encoder, texts: Sequence[str], folder: Path | None) -> list[Encoding]:
    """Encodings of texts, from the cache folder where it has them; None, or a read-only disk, means no cache."""
    if not texts:
        return []
    path = folder / f"{_key(encoder, texts)}.npz" if folder else None
    cached = _read(path, len(texts)) if path else None
    if cached is not None:
        return cached
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        encodings = list(pool.map(encoder.encode, texts))
    if path:
        _write(path, encodings)
    return encodings
