"""The mean of weights of two stages.

python -m training.average fourth.pt fifth.pt -o model.pt

Weights trained on from one another lie in one basin, and their mean often does better than each: Wortsman et al.,
Robust fine-tuning of zero-shot models (CVPR 2022).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch


def mean(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of each weight over models of one shape."""
    return {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    torch.save(mean([torch.load(path, weights_only=True) for path in options.weights]), options.output)


if __name__ == "__main__":
    main()
