"""Export the two halves of the model, each as a graph and its matrices in four bits, and its tokenizer.

python -m training.export --base MPNET --weights model.pt -o bot/models
"""

from __future__ import annotations

import argparse
import math
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer
from torch import nn
from torch.nn import functional

from bot.answering.session import STEP_BITS
from training.model import (
    BLOCK,
    FIRST_POSITION,
    LOWER,
    MAX_POSITIONS,
    Layer,
    Model,
    away,
    bucket_of,
    hidden_away,
    in_blocks,
)

OPSET = 20
MICROSOFT = "com.microsoft"  # ONNX Runtime's own operators
LARGE = 512  # rows or columns; the heads have fewer, and keep their whole weights
# Of seven bits: two products with a token's eight then fit into the sixteen bits of processors without VNNI.
LARGEST = 63


class Distances(nn.Module):
    """The attention bias of a text, looked up by distance instead of worked out in every run."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        far = torch.arange(-MAX_POSITIONS, MAX_POSITIONS + 1)
        self.table = nn.Parameter(model.relative(bucket_of(far)).T.contiguous())  # [heads, distances]

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Bias [heads, tokens, tokens] for a text of as many tokens as `tokens` has."""
        at = torch.arange(tokens.shape[1])
        return self.table[:, at[None, :] - at[:, None] + MAX_POSITIONS]


class Joined(nn.Module):
    """A layer whose queries, keys and values come from one product."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer
        self.weight = nn.Parameter(torch.cat([part.weight for part in (layer.q, layer.k, layer.v)]))
        self.bias = nn.Parameter(torch.cat([part.bias for part in (layer.q, layer.k, layer.v)]))

    def forward(self, hidden: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """As the layer itself."""
        texts, tokens, width = hidden.shape
        layer, size = self.layer, width // self.layer.heads
        joined = functional.linear(hidden, self.weight, self.bias).view(texts, tokens, 3, layer.heads, size)
        q, k, v = joined.permute(2, 0, 3, 1, 4)
        mixed = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(size) + bias, dim=-1) @ v
        hidden = layer.attended(hidden + layer.o(mixed.transpose(1, 2).reshape(texts, tokens, width)))
        return layer.output(hidden + layer.down(functional.gelu(layer.up(hidden))))


class Encoder(nn.Module):
    """The lower half: the states of texts of one length, and vectors for ranking of their tokens and their parts."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model, self.distances = model, Distances(model)
        self.layers = nn.ModuleList(map(Joined, model.layers[:LOWER]))

    def forward(self, ids: torch.Tensor, shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """States [texts, tokens, 768], unit token vectors [texts, tokens, 128], unit part vectors [texts, parts, 256].

        `shares` [parts, tokens] says how much each token counts in a part's mean.
        """
        model = self.model
        at = torch.arange(ids.shape[1]) + FIRST_POSITION
        hidden = model.normed(model.word(ids) + model.position(at))
        bias = self.distances(ids)[None]
        for layer in self.layers:
            hidden = layer(hidden, bias)
        tokens = functional.normalize(model.token_head(hidden), dim=-1)
        return hidden, tokens, functional.normalize(model.text_head(shares @ hidden), dim=-1)


class Reader(nn.Module):
    """The upper half: a message together with each of some passages, from the states of all."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model, self.distances = model, Distances(model)
        self.layers = nn.ModuleList(map(Joined, model.layers[LOWER:]))

    def forward(
        self, message: torch.Tensor, passages: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Class logits [passages, 3]; start and end logits [passages, passage tokens], padding far below the rest.

        `message` is [1, tokens, 768], `passages` [passages, tokens, 768] with their `mask` [passages, tokens].
        """
        model = self.model
        message = message.expand(passages.shape[0], -1, -1)
        first, second = message.shape[1], passages.shape[1]
        down, up = (side[:, None, None] for side in model.across)
        top = torch.cat([self.distances(message), down.expand(-1, first, second)], dim=2)
        bottom = torch.cat([up.expand(-1, second, first), self.distances(passages)], dim=2)
        seen = torch.cat([torch.ones_like(message[..., 0]), mask], dim=1)
        bias = torch.cat([top, bottom], dim=1)[None] + hidden_away(seen)
        hidden = torch.cat([message + model.side[0], passages + model.side[1]], dim=1)
        for layer in self.layers:
            hidden = layer(hidden, bias)
        start, end = (logits + away(mask) for logits in model.span(hidden[:, first:]).unbind(-1))
        return model.judged(hidden[:, 0], hidden[:, first:], start, end), start, end


TEXTS, TOKENS = {0: "texts"}, {0: "texts", 1: "tokens"}
AXES: dict[str, dict[int, str]] = {
    "ids": TOKENS, "states": TOKENS, "tokens": TOKENS,
    "shares": {0: "parts", 1: "tokens"}, "means": {0: "texts", 1: "parts"},
    "message": {1: "message_tokens"}, "passages": TOKENS, "mask": TOKENS,
    "verdict": TEXTS, "start": TOKENS, "end": TOKENS,
}  # fmt: skip


def traced(module: nn.Module, inputs: dict[str, torch.Tensor], outputs: list[str]) -> onnx.ModelProto:
    """The graph of a module."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "traced.onnx"
        axes = {name: AXES[name] for name in (*inputs, *outputs)}
        torch.onnx.export(
            module.eval(), tuple(inputs.values()), str(target), input_names=list(inputs), output_names=outputs,
            dynamic_axes=axes, opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        return onnx.load(str(target))


def with_small_words(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with word vectors of four bits, which training rounds in the same way."""
    small = {init.name for init in model.graph.initializer if init.dims and init.dims[0] < LARGE}
    gathers = [node.name for node in model.graph.node if node.op_type == "Gather" and set(node.input) & small]
    settings = DefaultWeightOnlyQuantConfig(
        block_size=BLOCK, is_symmetric=True, op_types_to_quantize=("Gather",), quant_axes=(("Gather", 1),)
    )
    quantizer = MatMulNBitsQuantizer(model, algo_config=settings, nodes_to_exclude=gathers)
    quantizer.process()
    return quantizer.model.model


@dataclass(frozen=True)
class Packed:
    """A matrix as bot/answering/session.py stores it, and what a unit of eight bits is worth in each column."""

    numbers: NDArray[np.uint8]
    steps: NDArray[np.int16]
    units: NDArray[np.float32]


def packed(matrix: NDArray[np.float32]) -> Packed:
    """A matrix [inputs, outputs] rounded to four bits as in training."""
    numbers, scales = (part.numpy() for part in in_blocks(torch.tensor(matrix.T.copy())))
    outputs = matrix.shape[1]
    whole = (numbers.reshape(outputs, -1).T + 8).astype(np.uint8)
    scales = scales.reshape(outputs, -1).T
    units = 8 * np.abs(scales).max(0) / LARGEST
    steps = np.round(scales / units * (1 << STEP_BITS)).astype(np.int16)
    first, second = np.split(whole, 2)
    return Packed(first | second << 4, steps, units.astype(np.float32))


class Rewriting:
    """The large products of a graph, rewritten for whole numbers.

    The rows of the left side, the tokens, get eight bits and a scale each: what one token is does not depend on what it
    stands beside. The right side is left out of the graph: `matrices` holds it.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model, self.matrices = model, dict[str, Packed]()
        self._large = {
            init.name: numpy_helper.to_array(init)
            for init in model.graph.initializer
            if len(init.dims) == 2 and min(init.dims) >= LARGE
        }
        self._rounded: dict[str, tuple[str, str]] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._added = [
            numpy_helper.from_array(np.array([-1]), "last_axis"),
            numpy_helper.from_array(np.array(1 / 127, np.float32), "unit"),
            numpy_helper.from_array(np.array(128, np.uint8), "middle"),
        ]

    def run(self) -> None:
        """Rewrite the graph."""
        graph = self.model.graph
        for node in graph.node:
            if node.op_type == "MatMul" and node.input[1] in self._large:
                self._product(node)
            else:
                self._nodes.append(node)
        kept = [init for init in graph.initializer if init.name not in self.matrices]
        del graph.node[:], graph.initializer[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend([*kept, *self._added])
        if not any(opset.domain == MICROSOFT for opset in self.model.opset_import):
            self.model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))

    def _add(self, kind: str, inputs: list[str], output: str, **attributes: int | str) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def _tokens(self, name: str) -> tuple[str, str]:
        """A left side in eight bits, and its largest number in each row."""
        if name not in self._rounded:
            size = self._add("Abs", [name], f"{name}.size")
            largest = self._add("ReduceMax", [size, "last_axis"], f"{name}.largest", keepdims=1)
            shares = self._add("Div", [name, largest], f"{name}.shares")
            self._rounded[name] = self._add("QuantizeLinear", [shares, "unit", "middle"], f"{name}.whole"), largest
        return self._rounded[name]

    def _product(self, node: onnx.NodeProto) -> None:
        left, right = node.input
        self.matrices[right] = found = packed(self._large[right])
        self._added += [numpy_helper.from_array(found.units, f"{right}.units"), elsewhere(right, self._large[right])]
        whole, largest = self._tokens(left)
        inputs = [whole, right, "unit", f"{right}.units", "middle"]
        shares = self._add("MatMulIntegerToFloat", inputs, f"{node.output[0]}.shares", domain=MICROSOFT)
        self._add("Mul", [shares, largest], node.output[0])


def elsewhere(name: str, matrix: NDArray[np.float32]) -> onnx.TensorProto:
    """An initializer of whole numbers that is not in the graph's file."""
    tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.INT8, dims=matrix.shape)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="given.when.loaded")
    return tensor


def export(module: nn.Module, inputs: dict[str, torch.Tensor], outputs: list[str], target: Path) -> None:
    """Write TARGET.onnx and TARGET.int4.npz."""
    rewriting = Rewriting(with_small_words(traced(module, inputs, outputs)))
    rewriting.run()
    target.with_suffix(".onnx").write_bytes(rewriting.model.SerializeToString())
    arrays: dict[str, NDArray[np.uint8] | NDArray[np.int16]] = {}
    for name, matrix in rewriting.matrices.items():
        arrays |= {f"{name}.numbers": matrix.numbers, f"{name}.steps": matrix.steps}
    np.savez(target.with_suffix(".int4.npz"), **arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    model = Model(options.base)
    model.load_state_dict(torch.load(options.weights, weights_only=True))
    ids, states = torch.full((2, 16), 2000), torch.zeros(3, 16, 768)
    shares = torch.full((3, 16), 1 / 16)
    export(Encoder(model), {"ids": ids, "shares": shares}, ["states", "tokens", "means"], options.output / "encoder")
    inputs = {"message": states[:1], "passages": states[:, :11], "mask": torch.ones(3, 11)}
    export(Reader(model), inputs, ["verdict", "start", "end"], options.output / "reader")
    shutil.copy(options.base / "tokenizer.json", options.output / "tokenizer.json")


if __name__ == "__main__":
    main()
