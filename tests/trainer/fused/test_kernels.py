"""The Triton kernels by Triton's interpreter, against the same passes in PyTorch; and that they compile for a GPU."""

import dataclasses
import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainer.fused.cases import Case, case, interpreted_cases
from trainer.augment import NORMALISATIONS, AugmentRecipe
from trainer.fused import plain, table
from trainer.fused.views import by_image

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")

STAGE = 2e-5
CASES = interpreted_cases(every=False)
EVERY = interpreted_cases(every=True)
TILES = case(16, 16, 46, 2, strengths=(0.5, 0.5, 0.5, 0.1), jitter_probability=1.0, normalisation="imagenet")
"""Views of three tiles, the last of which is not full; the kernels reserve room for four."""
TAKEN = torch.tensor([7, 0])
"""Which of its images a batch holds."""


def arguments(chosen: Case, indices_B: Tensor | None = None) -> tuple[Any, ...]:
    """What `fused_views` is given for a case."""
    images = len(chosen.images)
    rows_NVK = by_image(table.pack(chosen.parameters, chosen.recipe), images)
    return (
        chosen.images, rows_NVK, torch.arange(images) if indices_B is None else indices_B, chosen.recipe, chosen.size,
    )  # fmt: skip


def views_by_kernels(folder: Path, given: Mapping[str, tuple[Any, ...]]) -> dict[str, Tensor]:
    """The views of cases by the kernels, from a process of its own."""
    plain = {
        name: [dataclasses.asdict(one) if isinstance(one, AugmentRecipe) else one for one in some]
        for name, some in given.items()
    }
    torch.save(plain, folder / "arguments.pt")
    run_python("tests.trainer.fused.interpreted", str(folder / "arguments.pt"), str(folder / "views.pt"))
    views: dict[str, Tensor] = torch.load(folder / "views.pt", weights_only=True)
    return views


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """The views of a few cases."""
    tiles = (*arguments(TILES, TAKEN), "bfloat16", "channels_last")
    given = {name: arguments(chosen) for name, chosen in CASES.items()} | {"tiles": tiles, "tiles, again": tiles}
    return views_by_kernels(tmp_path_factory.mktemp("kernels"), given)


def run_python(module: str, *arguments: str) -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", module, *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr


def difference(chosen: Case, views: Tensor) -> float:
    return chosen.difference(views, plain.fused_views(*arguments(chosen)))


@pytest.mark.parametrize("name", CASES)
def test_kernels_equal_the_passes_in_pytorch(name: str, interpreted: dict[str, Tensor]) -> None:
    assert difference(CASES[name], interpreted[name]) < STAGE


@pytest.mark.reliability
def test_kernels_equal_the_passes_in_pytorch_at_every_extreme(tmp_path: Path) -> None:
    views = views_by_kernels(tmp_path, {name: arguments(chosen) for name, chosen in EVERY.items()})
    assert {name for name, chosen in EVERY.items() if difference(chosen, views[name]) >= STAGE} == set()


def test_views_of_several_tiles_in_bfloat16_and_channels_last(interpreted: dict[str, Tensor]) -> None:
    """The mean gray is put together from tiles, the last of which is not full; images are taken by their numbers."""
    expected = plain.fused_views(*arguments(TILES, TAKEN))
    found = interpreted["tiles"]
    assert found.dtype == torch.bfloat16
    assert found.is_contiguous(memory_format=torch.channels_last)
    deviation = torch.tensor(NORMALISATIONS[TILES.recipe.normalisation][1])[:, None, None]
    assert float(((found.float() - expected) * deviation).abs().max()) < 2**-8
    assert torch.equal(found, interpreted["tiles, again"])


def test_views_of_other_images_are_seen_as_others(interpreted: dict[str, Tensor]) -> None:
    """The negative control."""
    chosen = CASES["the tutorial's"]
    views = interpreted["the tutorial's"]
    assert chosen.difference(views, views.roll(1, dims=0)) > 1000 * STAGE


def test_a_tensor_that_is_not_contiguous_is_refused_and_not_read_wrong() -> None:
    from trainer.fused import kernels

    images, rows_NVK, indices_B, *rest = arguments(CASES["the tutorial's"])
    for given in ((images.mT, rows_NVK, indices_B), (images, rows_NVK, torch.zeros(2, 2, dtype=torch.int64)[:, 0])):
        with pytest.raises(AssertionError):
            kernels.fused_views(*given, *rest)


@pytest.mark.reliability
def test_kernels_compile_for_a_gpu() -> None:
    """The interpreter takes what the compiler refuses."""
    run_python("tests.trainer.fused.compiled")
