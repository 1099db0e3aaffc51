"""Rank an article's passages for a message with the untrained encoder: where hard negatives come from."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import BertModel


@cache
def passages(article: Path) -> list[str]:
    """The lines of an article, blank ones too: index 0 is line 1."""
    return article.read_text("utf8").split("\n")


class Ranker:
    """Cosine of mean-pooled sentence vectors, the article's kept."""

    def __init__(self, base: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
        self._tokenizer.enable_truncation(192)
        self._tokenizer.enable_padding()
        self._bert = BertModel.from_pretrained(base, add_pooling_layer=False).eval()
        self._articles: dict[Path, torch.Tensor] = {}
        self._messages: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def _vectors(self, texts: list[str]) -> torch.Tensor:
        encodings = self._tokenizer.encode_batch(texts)
        mask = torch.tensor([e.attention_mask for e in encodings])
        hidden = self._bert(input_ids=torch.tensor([e.ids for e in encodings]), attention_mask=mask).last_hidden_state
        pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return torch.nn.functional.normalize(pooled, dim=-1)

    def vector(self, message: str) -> torch.Tensor:
        """The unit vector of a message, [384]."""
        if message not in self._messages:
            self._messages[message] = self._vectors([message])[0]
        return self._messages[message]

    def ranked(self, article: Path, message: str) -> list[int]:
        """Indices of the article's lines, closest first."""
        if article not in self._articles:
            self._articles[article] = self._vectors([line or "." for line in passages(article)])
        scores = self._articles[article] @ self.vector(message)
        return [int(i) for i in torch.argsort(-scores, stable=True)]
