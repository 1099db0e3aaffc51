"""Inference sessions: a graph, and its large matrices with four bits a weight on disk and eight in memory.

ONNX Runtime's products of eight-bit matrices take less than half the time of those that unpack four bits as they go
(training/README.md); the package ships the four. A matrix [inputs, outputs] is stored as two arrays:

NAME.numbers  [inputs / 2, outputs] bytes: in the low four bits the first half of the rows, in the high ones the second,
              each number -8 to 7, plus 8
NAME.steps    [inputs / 128, outputs]: by how many 256ths a number of that block counts in eight bits
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from bot.errors import ModelError

STEP_BITS = 8  # a step is a whole number of 256ths


def load_session(folder: Path, name: str) -> onnxruntime.InferenceSession:
    """The session of a half of the model, on one core: several messages are worked out side by side.

    Raises ModelError.
    """
    graph, weights = folder / f"{name}.onnx", folder / f"{name}.int4.npz"
    for path in (graph, weights):
        if not path.is_file():
            raise ModelError(f"The model file {path} is missing: install the package again.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # a plan for every length of message and passage, kept for good
    # Outside the arena, which grows by doubling: a matrix is given back as soon as it is packed for the processor.
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    try:
        session = _session(graph, options, _matrices(weights))
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        raise ModelError(f"The model file {graph} or {weights.name} is damaged: install the package again.") from error
    del options  # it holds the matrices as they were before they were packed for the processor
    give_back_memory()
    return session


def _session(
    graph: Path, options: onnxruntime.SessionOptions, matrices: dict[str, onnxruntime.OrtValue]
) -> onnxruntime.InferenceSession:
    options.add_external_initializers(list(matrices), list(matrices.values()))
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def give_back_memory() -> None:
    """Give freed memory back to the system, where the C library (GNU's) keeps what lies between pieces in use.

    That is 40 MB once the models are loaded.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(ctypes.c_size_t(0))


def _matrices(path: Path) -> dict[str, onnxruntime.OrtValue]:
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as stored:
        names = sorted({key.rpartition(".")[0] for key in stored.files})
        whole = {name: unpacked(stored[f"{name}.numbers"], stored[f"{name}.steps"]) for name in names}
    return {name: onnxruntime.OrtValue.ortvalue_from_numpy(matrix) for name, matrix in whole.items()}


def unpacked(numbers: NDArray[np.uint8], steps: NDArray[np.int16]) -> NDArray[np.int8]:
    """A matrix [inputs, outputs] with eight bits a weight."""
    whole = np.empty((2 * len(numbers), numbers.shape[1]), np.int8)
    whole[: len(numbers)] = numbers & 15
    whole[len(numbers) :] = numbers >> 4
    half = np.int16(1 << STEP_BITS - 1)
    # A block at a time: what it needs stays in the processor's cache.
    for block, step in zip(np.split(whole, len(steps)), steps, strict=True):
        block[:] = ((block.astype(np.int16) - np.int16(8)) * step + half) >> STEP_BITS
    return whole
