"""`python -m trainer.same_weights A B`: whether two checkpoints hold the same bits, as one JSON document.

A program of its own, since whoever asks (the doctor) must not import torch.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

_TIMES = ("clock",)
"""Parts of a checkpoint that hold seconds, which no two runs have alike."""


def differing(left: Path, right: Path) -> tuple[list[str], int]:
    """Names of what is not the same bit for bit in two checkpoints, and how many tensors and numbers were compared.

    Raises:
        OSError: one of them can't be read.
        RuntimeError: one of them can't be loaded.
    """
    first, second = _bits(left), _bits(right)
    names = first.keys() | second.keys()
    return sorted(name for name in names if first.get(name) != second.get(name)), len(names)


def _bits(path: Path) -> dict[str, str]:
    payload = torch.load(path, map_location="cpu", weights_only=True)
    return dict(_walk("", {name: part for name, part in payload.items() if name not in _TIMES}))


def _walk(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """(name, digest of the bytes) of every tensor, and (name, text) of every number and string."""
    if isinstance(value, torch.Tensor):
        # Bytes and not values: −0.0 equals 0.0 and no NaN equals itself.
        data = value.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        yield name, f"{value.dtype} {tuple(value.shape)} {hashlib.sha256(data).hexdigest()}"
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _walk(f"{name}/{key}", part)
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _walk(f"{name}/{number}", part)
    else:
        yield name, repr(value)


if __name__ == "__main__":
    found, compared = differing(Path(sys.argv[1]), Path(sys.argv[2]))
    print(json.dumps({"differing": found, "compared": compared}))  # noqa: T201
