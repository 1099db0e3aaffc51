"""Export the two halves of the model, each as a graph and its matrices in four bits, and its tokenizer.

python -m training.export --base MPNET --weights model.pt -o bot/models
"""

from __future__ import annotations

import argparse
import math
import shutil
import tempfile
from dataclasses import dataclass
from itertools import pairwise
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

    def forward(self, at: torch.Tensor) -> torch.Tensor:
        """Bias [heads, tokens, tokens] for tokens at some positions [tokens]."""
        return self.table[:, at[None, :] - at[:, None] + MAX_POSITIONS]


Heads = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class Joined(nn.Module):
    """A layer whose queries, keys and values come from one product."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer
        self.weight = nn.Parameter(torch.cat([part.weight for part in (layer.q, layer.k, layer.v)]))
        self.bias = nn.Parameter(torch.cat([part.bias for part in (layer.q, layer.k, layer.v)]))

    def parts(self, hidden: torch.Tensor) -> torch.Tensor:
        """Queries, keys and values side by side, [..., 3 * width]."""
        return functional.linear(hidden, self.weight, self.bias)

    def heads(self, parts: torch.Tensor, texts: int, tokens: int) -> Heads:
        """Queries, keys and values of texts, each [texts, heads, tokens, size]."""
        heads = self.layer.heads
        q, k, v = parts.view(texts, tokens, 3, heads, parts.shape[-1] // (3 * heads)).permute(2, 0, 3, 1, 4)
        return q, k, v

    def behind(self, hidden: torch.Tensor, mixed: torch.Tensor) -> torch.Tensor:
        """The states behind the attention."""
        layer = self.layer
        hidden = layer.attended(hidden + layer.o(mixed))
        return layer.output(hidden + layer.down(functional.gelu(layer.up(hidden))))


def attention(heads: Heads, bias: torch.Tensor) -> torch.Tensor:
    """What each token takes from the values, [texts, tokens, width]."""
    q, k, v = heads
    mixed = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + bias, dim=-1) @ v
    return mixed.transpose(1, 2).reshape(q.shape[0], q.shape[2], q.shape[1] * q.shape[3])


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
        at = torch.arange(ids.shape[1])
        hidden = model.normed(model.word(ids) + model.position(at + FIRST_POSITION))
        bias = self.distances(at)[None]
        for layer in self.layers:
            heads = layer.heads(layer.parts(hidden), *ids.shape)
            hidden = layer.behind(hidden, attention(heads, bias))
        tokens = functional.normalize(model.token_head(hidden), dim=-1)
        return hidden, tokens, functional.normalize(model.text_head(shares @ hidden), dim=-1)


class Pairs:
    """A message with each of some texts, as rows of states and as places of a grid [texts, message + longest text].

    mask           [texts, message + longest] whether a place holds a token
    inside         [texts, longest] the same of the text alone; `at` [longest] are its positions
    rows           [texts, message + longest] the row of each place among those of all pairs; of padding some row
    places         [rows] the place of each row
    taken          [rows] which of the states given, the message's and then all texts', each row begins with
    kept           [kept rows] the rows that the last layer keeps: all but the message's behind its first token
    judged         [texts, 1 + longest] the row of each place among those that are kept
    judged_places  [kept rows] the place of each of them
    """

    def __init__(self, first: int, sizes: torch.Tensor, text_row: int, pair_row: int, kept_row: int) -> None:
        """Of a message of `first` tokens with texts of some `sizes`.

        The texts' states begin at row `text_row`, the pairs' rows at `pair_row`, those that are kept at `kept_row`.
        """
        longest = torch.cat([sizes, torch.ones(1, dtype=torch.long)]).max()
        own, self.at = torch.arange(first).expand(sizes.shape[0], -1), torch.arange(longest)
        self.first, self.inside = first, self.at < sizes[:, None]
        self.mask = torch.cat([torch.ones_like(own) > 0, self.inside], dim=1)
        self.rows, self.places = pair_row + numbered(self.mask), places_of(self.mask)
        self.taken = torch.cat([own, text_row + numbered(self.inside)], dim=1).flatten()[self.places]
        judged = self.without_message(self.mask, 1)
        self.judged, self.judged_places = kept_row + numbered(judged), places_of(judged)
        self.kept = self.without_message(self.rows, 1).flatten()[self.judged_places]

    def without_message(self, values: torch.Tensor, axis: int) -> torch.Tensor:
        """What belongs to a grid's places along an axis, without the message's tokens but its first."""
        size = values.shape[axis]
        return torch.cat([values.narrow(axis, 0, 1), values.narrow(axis, self.first, size - self.first)], dim=axis)


def numbered(mask: torch.Tensor) -> torch.Tensor:
    """The number of each place of a grid among those that the mask keeps; of the others some number."""
    return (mask.flatten().long().cumsum(0) - 1).clamp(min=0).reshape(mask.shape)


def places_of(mask: torch.Tensor) -> torch.Tensor:
    """The places of a grid that the mask keeps, counted row by row."""
    return mask.flatten().nonzero()[:, 0]


class Reader(nn.Module):
    """The upper half: a message together with each of some questions and passages, from the states of all.

    The tokens of all pairs go through a layer in one product, without padding, so that its weights are fetched once;
    only the attention is each pair's own. The first layer works out the message's part of its product once.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model, self.distances = model, Distances(model)
        self.layers = nn.ModuleList(map(Joined, model.layers[LOWER:]))

    def forward(
        self,
        message: torch.Tensor,
        questions: torch.Tensor,
        passages: torch.Tensor,
        question_sizes: torch.Tensor,
        passage_sizes: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Class logits of questions and of passages [texts, 3]; start and end logits of passages, padding far below.

        All are states [tokens, 768], the texts of a kind one behind the other; `..._sizes` say how many tokens each
        has. There may be none of a kind.
        """
        first, side = message.shape[0], self.model.side
        asked = Pairs(first, question_sizes, first, 0, 0)
        read = Pairs(first, passage_sizes, first + questions.shape[0], asked.taken.shape[0], asked.kept.shape[0])
        kinds = [(pairs, self._bias(message, pairs)) for pairs in (asked, read)]
        # One text of all rows: with two axes alone a product becomes a Gemm, which is not rewritten for whole numbers.
        hidden = torch.cat([message + side[0], questions + side[1], passages + side[1]])[None]
        taken = torch.cat([asked.taken, read.taken])
        parts, hidden = self.layers[0].parts(hidden)[:, taken], hidden[:, taken]
        for layer, after in pairwise(self.layers):
            mixed = [flat(attention(in_grid(layer, parts, pairs), bias))[pairs.places] for pairs, bias in kinds]
            hidden = layer.behind(hidden, torch.cat(mixed)[None])
            parts = after.parts(hidden)
        kept = self._last(hidden, parts, kinds)
        same, _, _ = self._judged(kept, asked)
        return same, *self._judged(kept, read)

    def _last(self, hidden: torch.Tensor, parts: torch.Tensor, kinds: list[tuple[Pairs, torch.Tensor]]) -> torch.Tensor:
        """The last layer's states [kept rows, width]: nothing looks at the others any more."""
        layer, mixed = self.layers[-1], []
        for pairs, bias in kinds:
            q, k, v = in_grid(layer, parts, pairs)
            found = attention((pairs.without_message(q, 2), k, v), pairs.without_message(bias, 2))
            mixed.append(flat(found)[pairs.judged_places])
        kept = torch.cat([pairs.kept for pairs, _ in kinds])
        states: torch.Tensor = layer.behind(hidden[:, kept], torch.cat(mixed)[None])[0]
        return states

    def _bias(self, message: torch.Tensor, pairs: Pairs) -> torch.Tensor:
        """As the model has it, [texts, heads, tokens, tokens]."""
        down, up = (side[:, None, None] for side in self.model.across)
        own, told = self.distances(torch.arange(message.shape[0])), self.distances(pairs.at)
        first, second = own.shape[1], told.shape[1]
        top = torch.cat([own, down.expand(-1, first, second)], dim=2)
        bottom = torch.cat([up.expand(-1, second, first), told], dim=2)
        return torch.cat([top, bottom], dim=1)[None] + hidden_away(pairs.mask)

    def _judged(self, kept: torch.Tensor, pairs: Pairs) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Class logits [texts, 3] and, padding far below the rest, start and end logits [texts, longest]."""
        hidden = kept[pairs.judged]
        start, end = (logits + away(pairs.inside) for logits in self.model.span(hidden[:, 1:]).unbind(-1))
        return self.model.judged(hidden[:, 0], hidden[:, 1:], start, end), start, end


def in_grid(layer: Joined, parts: torch.Tensor, pairs: Pairs) -> Heads:
    """Queries, keys and values of pairs, from those of the rows, [1, rows, 3 * width]."""
    return layer.heads(parts[0][pairs.rows], *pairs.rows.shape)


def flat(grid: torch.Tensor) -> torch.Tensor:
    """The places of a grid [texts, tokens, width], [places, width]."""
    return grid.reshape(grid.shape[0] * grid.shape[1], grid.shape[2])


TOKENS, SPANS = {0: "texts", 1: "tokens"}, {0: "passages", 1: "tokens"}
AXES: dict[str, dict[int, str]] = {
    "ids": TOKENS, "states": TOKENS, "tokens": TOKENS,
    "shares": {0: "parts", 1: "tokens"}, "means": {0: "texts", 1: "parts"},
    "message": {0: "message_tokens"}, "questions": {0: "question_tokens"}, "passages": {0: "passage_tokens"},
    "question_sizes": {0: "questions"}, "passage_sizes": {0: "passages"}, "same": {0: "questions"},
    "verdict": {0: "passages"}, "start": SPANS, "end": SPANS,
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


def with_empty_sizes(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph for texts of which there may be none of a kind.

    A nothing in the shape that a Reshape is given means "as many as before" unless it is told otherwise.
    """
    for node in model.graph.node:
        if node.op_type == "Reshape":
            del node.attribute[:]  # this one is all that a Reshape has
            node.attribute.append(helper.make_attribute("allowzero", 1))
    return model


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
            if len(init.dims) == 2 and min(init.dims) >= LARGE and init.data_type == onnx.TensorProto.FLOAT
        }
        self._rounded: dict[str, tuple[str, str]] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._added = [
            numpy_helper.from_array(np.array([-1]), "last_axis"),
            numpy_helper.from_array(np.array(1 / 127, np.float32), "unit"),
            numpy_helper.from_array(np.array(128, np.uint8), "middle"),
        ]

    def run(self) -> None:
        """Rewrite the graph. Raises ValueError where a large matrix is not the right side of a product."""
        graph = self.model.graph
        for node in graph.node:
            if node.op_type == "MatMul" and node.input[1] in self._large:
                self._product(node)
            else:
                self._nodes.append(node)
        left = self._large.keys() - self.matrices.keys()
        if left:
            raise ValueError(f"not rewritten: {', '.join(sorted(left))}")
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
    rewriting = Rewriting(with_small_words(with_empty_sizes(traced(module, inputs, outputs))))
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
    ids = torch.full((2, 16), 2000)
    shares = torch.full((3, 16), 1 / 16)
    export(Encoder(model), {"ids": ids, "shares": shares}, ["states", "tokens", "means"], options.output / "encoder")
    inputs = {"message": torch.randn(6, 768), "questions": torch.randn(5, 768), "passages": torch.randn(9, 768)}
    inputs |= {"question_sizes": torch.tensor([3, 2]), "passage_sizes": torch.tensor([4, 5])}
    export(Reader(model), inputs, ["same", "verdict", "start", "end"], options.output / "reader")
    shutil.copy(options.base / "tokenizer.json", options.output / "tokenizer.json")


if __name__ == "__main__":
    main()
