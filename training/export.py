"""Export the encoder and the reader as int8 ONNX files with their tokenizer.

python -m training.export encoder --base MINILM --weights encoder.pt -o bot/models
python -m training.export reader --base MINILM --weights reader.pt -o bot/models
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn
from transformers import BertModel

from training.model import Reader

OPSET = 17


class Encoder(nn.Module):
    """The base model, or its weights trained for ranking, with the last hidden state as the only output."""

    def __init__(self, base: Path, weights: Path | None) -> None:
        super().__init__()
        self.bert = BertModel.from_pretrained(base, add_pooling_layer=False, attn_implementation="eager")
        if weights:
            self.bert.load_state_dict(torch.load(weights, weights_only=True))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Token states, [batch, tokens, 384]."""
        states: torch.Tensor = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return states


def export(model: nn.Module, inputs: dict[str, torch.Tensor], outputs: list[str], target: Path) -> None:
    """Trace, simplify, quantise.

    Weights have seven bits (`reduce_range`): with eight, processors without VNNI saturate and give other numbers.
    """
    with tempfile.TemporaryDirectory() as folder:
        traced, simple = Path(folder) / "traced.onnx", Path(folder) / "simple.onnx"
        axes = {name: {0: "batch", 1: "tokens"} for name in [*inputs, *outputs] if name != "verdict"}
        if "verdict" in outputs:
            axes["verdict"] = {0: "batch"}
        torch.onnx.export(
            model.eval(),
            tuple(inputs.values()),
            str(traced),
            input_names=list(inputs),
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
        quant_pre_process(str(traced), str(simple), skip_symbolic_shape=True)
        quantize_dynamic(str(simple), str(target), weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=("encoder", "reader"))
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    inputs = {"input_ids": torch.full((2, 16), 2000), "attention_mask": torch.ones(2, 16, dtype=torch.long)}
    if options.model == "encoder":
        export(Encoder(options.base, options.weights), inputs, ["states"], options.output / "encoder.int8.onnx")
    else:
        reader = Reader(options.base)
        reader.bert.set_attn_implementation("eager")
        reader.load_state_dict(torch.load(options.weights, weights_only=True))
        inputs["token_type_ids"] = torch.zeros(2, 16, dtype=torch.long)
        export(reader, inputs, ["verdict", "start", "end"], options.output / "reader.int8.onnx")
    shutil.copy(options.base / "tokenizer.json", options.output / "tokenizer.json")


if __name__ == "__main__":
    main()
