"""Encodings kept on disk: keyed by content, safe with several writers, rebuilt when damaged, optional."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bot.answering.encoder import Encoder, Encoding, windows_of
from bot.answering.session import give_back_memory

TOGETHER = 128  # tokens encoded at once: twice as many are a twentieth faster, and cost 40 MB
KEPT_S = 30 * 86400.0  # a file that nobody has read for so long belongs to a story or a model that has changed
MOST_THREADS = 4  # a story is encoded once; a small machine keeps some cores for what it does beside
_FORMAT = "6"  # rises when the arrays of a cache file change


def default_cache_folder() -> Path:
    """`$SOURCELINE_CACHE`, else the user's cache folder (XDG base directories)."""
    named = os.environ.get("SOURCELINE_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "sourceline"


def _key(encoder: Encoder, texts: Iterable[Sequence[str]]) -> str:
    """What a cache file is named by: the texts of each kind, and the encoder."""
    digest = hashlib.sha256(f"{_FORMAT}\0{encoder.digest}".encode())
    for kind in texts:
        digest.update(f"\0{len(kind)}".encode())
        for text in kind:
            digest.update(b"\0" + text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]


def _read(path: Path, count: int) -> list[Encoding] | None:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            ids, tokens, means = file["ids"], file["tokens"], file["means"]
            states, steps, bounds = file["states"], file["steps"], file["bounds"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    if bounds.shape != (count + 1, 2) or len(means) != count or tuple(bounds[-1]) != (len(tokens), len(states)):
        return None
    return [
        Encoding(ids[first:last], tokens[first:last], means[i], states[begin:end], steps[begin:end])
        for i, ((first, begin), (last, end)) in enumerate(pairwise(bounds.tolist()))
    ]


def _write_array(archive: zipfile.ZipFile, name: str, parts: Sequence[NDArray[Any]]) -> None:
    """One array of an .npz file, from its rows in parts: put together first, they would double what a story takes."""
    shape = (sum(map(len, parts)), *parts[0].shape[1:])
    header = {"descr": np.lib.format.dtype_to_descr(parts[0].dtype), "fortran_order": False, "shape": shape}
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        for part in parts:
            member.write(part.tobytes())


def _write_arrays(file: IO[bytes], encodings: Sequence[Encoding]) -> None:
    bounds = np.cumsum([(0, 0), *((len(e.ids), len(e.states)) for e in encodings)], axis=0)
    with zipfile.ZipFile(file, "w") as archive:
        _write_array(archive, "ids", [e.ids for e in encodings])
        _write_array(archive, "tokens", [e.tokens for e in encodings])
        _write_array(archive, "means", [e.mean[None] for e in encodings])
        _write_array(archive, "states", [e.states for e in encodings])
        _write_array(archive, "steps", [e.steps for e in encodings])
        _write_array(archive, "bounds", [bounds])


def _write(path: Path, encodings: Sequence[Encoding]) -> None:
    """Write beside the target and rename: a second process sees the old file, the new one, or none, never half."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                _write_arrays(file, encodings)
            Path(name).chmod(0o644)  # a temporary file is its owner's alone; who shares the folder shares the cache
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)


def _mark_used(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.utime(path)


def _let_go(latest: Path) -> None:
    """Delete what had not been used for long when the latest file was written."""
    with contextlib.suppress(OSError):
        written = latest.stat().st_mtime
        for path in latest.parent.glob("*.npz"):
            if written - path.stat().st_mtime > KEPT_S:
                path.unlink(missing_ok=True)


def _batches(encoder: Encoder, texts: Iterable[str]) -> Iterator[dict[str, tuple[int, ...]]]:
    """Distinct texts with their token ids, a few of one length together; in which order a story has them is no part."""
    by_length: dict[int, dict[str, tuple[int, ...]]] = defaultdict(dict)
    for text in sorted(set(texts)):
        ids = encoder.ids(text)
        by_length[len(ids)][text] = ids
    for alike in by_length.values():
        rest, at_once = iter(alike.items()), max(1, TOGETHER // len(next(iter(alike.values()))))
        while batch := dict(islice(rest, at_once)):
            yield batch


def _encoded(encoder: Encoder, passages: Sequence[str], read: Sequence[str], ranked: Sequence[str]) -> list[Encoding]:
    kept, found = set(read), dict[str, Encoding]()

    def encode(batch: dict[str, tuple[int, ...]]) -> list[Encoding]:
        encodings = encoder.encode_alike(list(batch.values()))
        return [e if text in kept else e.for_ranking() for text, e in zip(batch, encodings, strict=True)]

    batches = list(_batches(encoder, [*read, *ranked]))
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        windows = pool.map(encoder.encode_window, windows_of([encoder.ids(text) for text in passages]))
        for batch, encodings in zip(batches, pool.map(encode, batches), strict=True):
            found |= dict(zip(batch, encodings, strict=True))
    give_back_memory()  # of windows, which take ten times what a message does
    alone = [found[text] for text in read] + [found[text].for_ranking() for text in ranked]
    return [*chain.from_iterable(windows), *alone]


def encode_all(
    encoder: Encoder, passages: Sequence[str], read: Sequence[str], ranked: Sequence[str], folder: Path | None
) -> list[Encoding]:
    """Encodings of an article's passages, each among those around it, then of single texts to be read, then of single
    ones that are only ranked and need no states.

    From the cache folder where it has them; None, or a read-only disk, means no cache.
    """
    count = len(passages) + len(read) + len(ranked)
    if not count:
        return []
    path = folder / f"{_key(encoder, (passages, read, ranked))}.npz" if folder else None
    cached = _read(path, count) if path else None
    encodings = cached or _encoded(encoder, passages, read, ranked)
    if path and cached:
        _mark_used(path)
    elif path:
        _write(path, encodings)
        _let_go(path)
    return encodings
