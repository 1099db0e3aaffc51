"""Export the model as two ONNX files with four-bit weights, and its tokenizer.

python -m training.export --base MPNET --weights model.pt -o bot/models
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer
from torch import nn
from torch.nn import functional

from training.model import BLOCK, FIRST_POSITION, LOWER, MAX_POSITIONS, Model, away, bucket_of, hidden_away

OPSET = 20
ACTIVATIONS = 4  # ONNX Runtime's accuracy level for eight-bit activations, a scale a block of each token's own


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


class Encoder(nn.Module):
    """The lower half: the states of texts of one length, and their vectors for ranking."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model, self.distances = model, Distances(model)

    def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """States [texts, tokens, 768], unit token vectors [texts, tokens, 128], unit text vectors [texts, 256]."""
        model = self.model
        at = torch.arange(ids.shape[1]) + FIRST_POSITION
        hidden = model.normed(model.word(ids) + model.position(at))
        bias = self.distances(ids)[None]
        for layer in model.layers[:LOWER]:
            hidden = layer(hidden, bias)
        tokens = functional.normalize(model.token_head(hidden), dim=-1)
        return hidden, tokens, functional.normalize(model.text_head(hidden.mean(1)), dim=-1)


class Reader(nn.Module):
    """The upper half: a message together with each of some passages, from the states of all."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model, self.distances = model, Distances(model)

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
        for layer in model.layers[LOWER:]:
            hidden = layer(hidden, bias)
        start, end = (logits + away(mask) for logits in model.span(hidden[:, first:]).unbind(-1))
        return model.judged(hidden[:, 0], hidden[:, first:], start, end), start, end


TEXTS, TOKENS = {0: "texts"}, {0: "texts", 1: "tokens"}
AXES: dict[str, dict[int, str]] = {
    "ids": TOKENS, "states": TOKENS, "tokens": TOKENS, "mean": TEXTS,
    "message": {1: "message_tokens"}, "passages": TOKENS, "mask": TOKENS,
    "verdict": TEXTS, "start": TOKENS, "end": TOKENS,
}  # fmt: skip


def export(module: nn.Module, inputs: dict[str, torch.Tensor], outputs: list[str], target: Path) -> None:
    """Trace, then round all large matrices to four bits as in training: layers and word vectors."""
    with tempfile.TemporaryDirectory() as folder:
        traced = Path(folder) / "traced.onnx"
        axes = {name: AXES[name] for name in (*inputs, *outputs)}
        torch.onnx.export(
            module.eval(), tuple(inputs.values()), str(traced), input_names=list(inputs), output_names=outputs,
            dynamic_axes=axes, opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        graph = onnx.load(str(traced))
    small = {init.name for init in graph.graph.initializer if init.dims and init.dims[0] < 512}
    gathers = [node.name for node in graph.graph.node if node.op_type == "Gather" and set(node.input) & small]
    settings = DefaultWeightOnlyQuantConfig(
        block_size=BLOCK, is_symmetric=True, accuracy_level=ACTIVATIONS,
        op_types_to_quantize=("MatMul", "Gather"), quant_axes=(("MatMul", 0), ("Gather", 1)),
    )  # fmt: skip
    heads = [node.name for node in graph.graph.node if node.op_type == "MatMul" and "layers" not in node.name]
    quantizer = MatMulNBitsQuantizer(graph, algo_config=settings, nodes_to_exclude=gathers + heads)
    quantizer.process()
    quantizer.model.save_model_to_file(str(target))


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
    export(Encoder(model), {"ids": ids}, ["states", "tokens", "mean"], options.output / "encoder.int4.onnx")
    inputs = {"message": states[:1], "passages": states[:, :11], "mask": torch.ones(3, 11)}
    export(Reader(model), inputs, ["verdict", "start", "end"], options.output / "reader.int4.onnx")
    shutil.copy(options.base / "tokenizer.json", options.output / "tokenizer.json")


if __name__ == "__main__":
    main()
