"""One model for ranking and reading: all-MiniLM's larger sister, all-mpnet-base-v2, cut in two.

Song et al., MPNet (NeurIPS 2020); Cao et al., DeFormer (ACL 2020). The lower layers encode a text alone, so that what a
story holds is encoded once and kept; from them come the vectors for ranking. The upper layers read a message and a
passage together, from the lower layers' states of each.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

CLASSES = 3
LOWER = 9  # of twelve layers; DeFormer loses about a point there, and the three above are read again for every passage
TOKEN_DIMENSIONS = 128  # as ColBERT's
TEXT_DIMENSIONS = 256
MAX_POSITIONS = 448  # a window of passages holds fewer tokens (bot/answering/encoder.py)
FIRST_POSITION = 2  # MPNet counts positions from behind its padding token
BUCKETS, FAR = 32, 128  # of the relative positions, as published
APART = 10  # the bucket of that distance
BLOCK = 128  # weights that share a scale, in four bits


def in_blocks(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix in blocks along its last axis: whole numbers from -8 to 7 [blocks, BLOCK], and scales [blocks, 1].

    The number furthest from nothing is -8, as ONNX Runtime has it.
    """
    blocks = weight.reshape(-1, BLOCK)
    scale = blocks.gather(1, blocks.abs().argmax(1, keepdim=True)) / -8.0
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    return (blocks / scale).round().clamp(-8, 7), scale


def four_bits(weight: torch.Tensor) -> torch.Tensor:
    """A matrix as it will be after rounding to four bits."""
    numbers, scale = in_blocks(weight)
    return (numbers * scale).reshape(weight.shape)


class RoundedLinear(nn.Linear):
    """A linear layer that computes with four-bit weights and learns as if they were whole (straight-through)."""

    rounding: torch.Tensor | None = None
    prepared: torch.Tensor | None = None

    def round_weight(self) -> None:
        """From now on add what rounding changes in the weights as they are now."""
        with torch.no_grad():
            self.rounding = four_bits(self.weight) - self.weight

    def prepare(self) -> None:
        """Work out once what all calls of a step compute with."""
        half = torch.is_autocast_enabled("cpu")
        rounded = None if self.rounding is None else self.weight + self.rounding
        self.prepared = (self.weight if rounded is None else rounded).to(torch.bfloat16) if half else rounded

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """As a linear layer, with the weights of this step."""
        return functional.linear(values, self.weight if self.prepared is None else self.prepared, self.bias)


class Layer(nn.Module):
    """A transformer layer with normalisation behind each half, as in BERT."""

    def __init__(self, width: int, inner: int, heads: int, epsilon: float) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (RoundedLinear(width, width) for _ in range(4))
        self.up, self.down = RoundedLinear(width, inner), RoundedLinear(inner, width)
        self.attended, self.output = nn.LayerNorm(width, epsilon), nn.LayerNorm(width, epsilon)

    def forward(self, hidden: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """States [batch, tokens, width]; `bias` [batch or 1, heads, tokens, tokens] is added to the attention."""
        batch, tokens, width = hidden.shape

        def split(values: torch.Tensor) -> torch.Tensor:
            return values.view(batch, tokens, self.heads, width // self.heads).transpose(1, 2)

        scores = split(self.q(hidden)) @ split(self.k(hidden)).transpose(-1, -2) / math.sqrt(width // self.heads)
        mixed = torch.softmax(scores + bias, dim=-1) @ split(self.v(hidden))
        hidden = self.attended(hidden + self.o(mixed.transpose(1, 2).reshape(batch, tokens, width)))
        return self.output(hidden + self.down(functional.gelu(self.up(hidden))))


@dataclass(frozen=True)
class Texts:
    """Encoded texts, for reading and for ranking.

    `states` of the lower layers [texts, tokens, 768] with their `mask`; `ids`; unit `tokens` [texts, tokens, 128] and
    unit `means` [texts, 256]; `inner` is the mask without the two marker tokens, which have no part in ranking.
    """

    states: torch.Tensor
    mask: torch.Tensor
    ids: torch.Tensor
    tokens: torch.Tensor
    means: torch.Tensor
    inner: torch.Tensor


def bucket_of(distance: torch.Tensor) -> torch.Tensor:
    """The bucket of a relative position (T5: Raffel et al., 2020), as MPNet uses it."""
    half, exact = BUCKETS // 2, BUCKETS // 4
    away = distance.abs().clamp(min=1)
    far = exact + (torch.log(away / exact) / math.log(FAR / exact) * (half - exact)).long()
    near = torch.where(distance.abs() < exact, distance.abs(), far.clamp(max=half - 1))
    return near + (distance > 0).long() * half


class Model(nn.Module):
    """The lower half with its ranking heads, the upper half with the reader's."""

    def __init__(self, base: Path) -> None:
        super().__init__()
        config = json.loads((base / "config.json").read_text("utf8"))
        width, heads, epsilon = config["hidden_size"], config["num_attention_heads"], config["layer_norm_eps"]
        self.word = nn.Embedding(config["vocab_size"], width)
        self.position = nn.Embedding(MAX_POSITIONS + FIRST_POSITION, width)
        self.normed = nn.LayerNorm(width, epsilon)
        self.relative = nn.Embedding(BUCKETS, heads)
        inner = config["intermediate_size"]
        self.layers = nn.ModuleList(Layer(width, inner, heads, epsilon) for _ in range(config["num_hidden_layers"]))
        self.across = nn.Parameter(torch.zeros(2, heads))
        self.side = nn.Parameter(torch.zeros(2, width))
        self.token_head = nn.Linear(width, TOKEN_DIMENSIONS, bias=False)
        self.text_head = nn.Linear(width, TEXT_DIMENSIONS, bias=False)
        self.verdict = nn.Linear(3 * width, CLASSES)
        self.span = nn.Linear(width, 2)
        self._take(load_file(base / "model.safetensors"))
        self.word.weight.requires_grad_(False)

    def _take(self, stored: dict[str, torch.Tensor]) -> None:
        names = {
            "word": "embeddings.word_embeddings", "normed": "embeddings.LayerNorm",
            "relative": "encoder.relative_attention_bias",
        }  # fmt: skip
        parts = {
            "q": "attention.attn.q", "k": "attention.attn.k", "v": "attention.attn.v", "o": "attention.attn.o",
            "attended": "attention.LayerNorm", "up": "intermediate.dense", "down": "output.dense",
            "output": "output.LayerNorm",
        }  # fmt: skip
        for number in range(len(self.layers)):
            names |= {f"layers.{number}.{mine}": f"encoder.layer.{number}.{theirs}" for mine, theirs in parts.items()}
        found = {
            f"{mine}.{kind}": stored[f"{theirs}.{kind}"]
            for mine, theirs in names.items()
            for kind in ("weight", "bias")
            if f"{theirs}.{kind}" in stored
        }
        found["position.weight"] = stored["embeddings.position_embeddings.weight"][: MAX_POSITIONS + FIRST_POSITION]
        found["word.weight"] = four_bits(found["word.weight"])
        # Between two texts there is no distance; they start out as if a dozen words lay between any two tokens.
        found["across"] = found["relative.weight"][[BUCKETS // 2 + APART, APART]]
        self.load_state_dict(found, strict=False)

    def round_weights(self) -> None:
        """Compute with four-bit weights from the next step on, rounded as the weights are now."""
        for layer in self._rounded():
            layer.round_weight()

    def prepare(self) -> None:
        """Begin a step: what it computes with is worked out once."""
        for layer in self._rounded():
            layer.prepare()

    def _rounded(self) -> Iterator[RoundedLinear]:
        return (module for module in self.modules() if isinstance(module, RoundedLinear))

    def _bias(self, tokens: int) -> torch.Tensor:
        at = torch.arange(tokens)
        return self.relative(bucket_of(at[None, :] - at[:, None])).permute(2, 0, 1)

    def lower(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """States [texts, tokens, 768] of texts by themselves."""
        at = torch.arange(ids.shape[1]) + FIRST_POSITION
        hidden = self.normed(self.word(ids) + self.position(at))
        bias = self._bias(ids.shape[1])[None] + hidden_away(mask)
        for layer in self.layers[:LOWER]:
            hidden = layer(hidden, bias)
        return hidden

    def encoded(self, ids: torch.Tensor, mask: torch.Tensor) -> Texts:
        """Texts for ranking and reading, of padded `ids` and their `mask`, each [texts, tokens]."""
        return self.texts(self.lower(ids, mask), ids, mask)

    def texts(self, states: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> Texts:
        """Texts by their states of the lower layers, [texts, tokens, 768]; each has a marker at both ends."""
        inner = mask.clone()
        inner[:, 0] = 0
        inner[torch.arange(len(ids)), mask.sum(1) - 1] = 0
        pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        tokens = functional.normalize(self.token_head(states).float(), dim=-1)
        means = functional.normalize(self.text_head(pooled).float(), dim=-1)
        return Texts(states, mask, ids, tokens, means, inner)

    def read(
        self, message: torch.Tensor, message_mask: torch.Tensor, passage: torch.Tensor, passage_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Class logits [pairs, 3]; start and end logits [pairs, passage tokens]."""
        first, second = message.shape[1], passage.shape[1]
        hidden = torch.cat([message + self.side[0], passage + self.side[1]], dim=1)
        bias = hidden_away(torch.cat([message_mask, passage_mask], dim=1)) + self._joint(first, second)[None]
        for layer in self.layers[LOWER:]:
            hidden = layer(hidden, bias)
        start, end = self.span(hidden[:, first:]).unbind(-1)
        return (
            self.judged(hidden[:, 0], hidden[:, first:], start + away(passage_mask), end + away(passage_mask)),
            start,
            end,
        )

    def judged(
        self, message: torch.Tensor, passage: torch.Tensor, start: torch.Tensor, end: torch.Tensor
    ) -> torch.Tensor:
        """Class logits [pairs, 3] from the message's first token and from where the answer would begin and end."""
        first, last = (
            (torch.softmax(logits.detach(), dim=-1)[:, None, :] @ passage)[:, 0] for logits in (start, end)
        )  # fmt: skip
        return self.verdict(torch.cat([message, first, last], dim=-1))

    def _joint(self, first: int, second: int) -> torch.Tensor:
        down, up = (side[:, None, None] for side in self.across)
        top = torch.cat([self._bias(first), down.expand(-1, first, second)], dim=2)
        bottom = torch.cat([up.expand(-1, second, first), self._bias(second)], dim=2)
        return torch.cat([top, bottom], dim=1)


def away(mask: torch.Tensor) -> torch.Tensor:
    """What is added to a score a token [texts, tokens] to hide padding."""
    return (1.0 - mask.float()) * -1e4


def hidden_away(mask: torch.Tensor) -> torch.Tensor:
    """Attention bias [texts, 1, 1, tokens] that hides padding."""
    return away(mask)[:, None, None, :]
