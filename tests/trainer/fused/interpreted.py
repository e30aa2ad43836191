"""Runs the Triton kernels on the CPU, by Triton's interpreter: it must be asked for before Triton is imported.

It imports as little as can be, since importing takes longer than the kernels.

python -m tests.trainer.fused.interpreted ARGUMENTS VIEWS
"""

import os
import sys
from typing import Any

import torch

os.environ["TRITON_INTERPRET"] = "1"

from trainer.augment import AugmentRecipe
from trainer.fused import kernels


def _as_given(value: Any) -> Any:
    """Recipes come as dicts and memory formats as names, since a file of tensors holds neither."""
    if isinstance(value, dict):
        return AugmentRecipe(**value)
    return getattr(torch, value) if isinstance(value, str) else value


def main() -> None:
    """Read arguments of `fused_views` by name from one file, and write the views into another one."""
    torch.set_num_threads(1)
    arguments = torch.load(sys.argv[1], weights_only=True)
    views = {}
    for name, some in arguments.items():
        views[name] = kernels.fused_views(*map(_as_given, some))
    torch.save(views, sys.argv[2])


if __name__ == "__main__":
    main()
