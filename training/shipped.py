"""The weights of a shipped int8 model, to go on training from, without doing the earlier stages again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from transformers import BertModel

FROZEN = "bert.embeddings.word_embeddings.weight"  # as published, in every model trained here


def shipped_weights(path: Path) -> dict[str, torch.Tensor]:
    """All trained weights of an int8 ONNX file by their names in the model, scaled back to floats.

    They differ from the weights before quantisation by at most half a step of seven bits; the word vectors are left
    out, because they were never trained.
    """
    graph = onnx.load(str(path)).graph
    stored = {item.name: numpy_helper.to_array(item) for item in graph.initializer}

    def floats(name: str) -> torch.Tensor:
        """A quantised tensor; scales are one for all or one a column."""
        stem = name.removesuffix("_quantized")
        steps = stored[name].astype(np.float32) - stored[f"{stem}_zero_point"].astype(np.float32)
        return torch.from_numpy(steps * stored[f"{stem}_scale"])

    weights = {
        name: torch.from_numpy(value.copy()) for name, value in stored.items() if name.endswith((".weight", ".bias"))
    }
    for name in stored:
        if name.startswith("bert.embeddings.") and name.endswith(".weight_quantized"):
            weights[name.removesuffix("_quantized")] = floats(name)
    for node in graph.node:
        if node.op_type == "MatMulInteger":
            layer = node.name.removesuffix("_quant").rsplit("/", 1)[0].strip("/").replace("/", ".")
            weights[f"{layer}.weight"] = floats(node.input[1]).T.contiguous()
    weights.pop(FROZEN, None)
    return weights


def load(model: nn.Module, path: Path) -> None:
    """Load weights of an earlier stage (.pt), or of a shipped file (.onnx), into a model that has the frozen ones."""
    if path.suffix != ".onnx":
        model.load_state_dict(torch.load(path, weights_only=True))
        return
    weights = shipped_weights(path)
    if isinstance(model, BertModel):
        weights = {name.removeprefix("bert."): value for name, value in weights.items()}
    missing, unknown = model.load_state_dict(weights, strict=False)
    if unknown or any(not name.endswith("word_embeddings.weight") for name in missing):
        raise ValueError(f"{path} is no file of this model: {[*missing, *unknown]}")
