"""The reader: a small BERT with a class for the pair and a start and an end score per passage token."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from transformers import BertModel

CLASSES = 3


class Reader(nn.Module):
    """MiniLM with two linear heads, in the manner of BERT for SQuAD 2 (Devlin et al., 2019)."""

    def __init__(self, base: Path) -> None:
        super().__init__()
        self.bert = BertModel.from_pretrained(base, add_pooling_layer=False, attn_implementation="sdpa")
        self.span = nn.Linear(self.bert.config.hidden_size, 2)
        self.verdict = nn.Linear(self.bert.config.hidden_size, CLASSES)
        # The word vectors are half of the weights; left as they are, a step is faster and rare words keep their sense.
        self.bert.embeddings.word_embeddings.weight.requires_grad_(False)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Class logits [batch, 3], start logits and end logits [batch, tokens]."""
        hidden = self.bert(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        start, end = self.span(hidden).unbind(-1)
        return self.verdict(hidden[:, 0]), start, end
