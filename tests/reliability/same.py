"""Whether two runs are the same run: every figure that was stored and everything that the last checkpoint holds.

One function for the proof and for its negative controls, so that what the controls fail is what the proof passes.
"""

import itertools
from pathlib import Path
from typing import Any

import torch

from tests.reliability.trainers import measured, newest_payload, scores, steps

Placed = tuple[Path, str]
"""A runs folder and the id of a run in it."""


def flattened(value: Any, name: str = "") -> dict[str, Any]:
    """Every tensor and number of a checkpoint by its place in it, the seconds left out."""
    if isinstance(value, dict):
        parts = [flattened(inner, f"{name}/{key}") for key, inner in value.items() if key != "clock"]
    elif isinstance(value, list | tuple):
        parts = [flattened(inner, f"{name}/{index}") for index, inner in enumerate(value)]
    else:
        return {name: value}
    return {key: inner for part in parts for key, inner in part.items()}


def differing_in_checkpoint(left: Placed, right: Placed) -> list[str]:
    """What of two runs' newest checkpoints (weights, their average, the optimiser) is not the same, bit for bit."""
    first, second = (flattened(newest_payload(*run)) for run in (left, right))
    assert first.keys() == second.keys()
    return [
        name
        for name, value in first.items()
        if not (torch.equal(value, second[name]) if isinstance(value, torch.Tensor) else value == second[name])
    ]


def differing(left: Placed, right: Placed) -> list[str]:
    """Every row of steps, scores and embeddings' figures, and every part of the last checkpoint, that is not the same.

    A row that one of them lacks differs.
    """
    found = []
    for table, read in (("steps", steps), ("epochs", scores), ("metrics", measured)):
        for row, other in itertools.zip_longest(read(*left), read(*right)):
            if row != other:
                found.append(f"{table}: {row} is {other}")
    return found + differing_in_checkpoint(left, right)
