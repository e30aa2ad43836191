"""A table holds what the other ways are drawn, bit for bit, whoever asks for which part of it."""

import dataclasses
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from tests.trainer.recipes import TUTORIAL
from trainer.augment import UNIFORMS_PER_VIEW, draw_parameters
from trainer.config import PretrainConfig
from trainer.fused import table
from trainer.fused.table import COLUMNS, EpochTables, draw_table, pack, share
from trainer.randomness import permutation, uniforms

CPU = torch.device("cpu")


@pytest.fixture
def tables() -> Iterator[EpochTables]:
    config = PretrainConfig(image_size=16, seed=5, batch_size=4, epochs=3)
    made = EpochTables(config, 23, (16, 16), CPU)
    yield made
    made.close()


def test_every_number_is_kept_exactly() -> None:
    parameters = draw_parameters(uniforms(0, 1, 50, 2, UNIFORMS_PER_VIEW).flatten(0, 1), TUTORIAL, 96, 300)
    rows_MK = pack(parameters, TUTORIAL)
    assert rows_MK.shape == (100, COLUMNS)
    assert rows_MK.dtype == torch.float32
    for view in range(100):
        row = rows_MK[view].tolist()
        box = (parameters.top, parameters.left, parameters.height, parameters.width, parameters.flip)
        assert row[:5] == [float(values[view]) for values in box]
        for step, operation in enumerate(parameters.order[view].tolist()):
            jittered = bool(parameters.jitter[view])
            assert row[table.OPERATIONS + step] == (operation if jittered else table.NO_OPERATION)
            assert row[table.FACTORS + step] == float(parameters.factors[operation][view])
        assert row[table.GRAYSCALE] == float(parameters.grayscale[view])
        assert row[table.SIGMA] == (float(parameters.sigma[view]) if parameters.blur[view] else 0.0)


def test_an_operation_without_strength_is_left_out() -> None:
    recipe = dataclasses.replace(TUTORIAL, strengths=(0.5, 0.0, 0.5, 0.0), jitter_probability=1.0)
    parameters = draw_parameters(uniforms(0, 1, 20, 1, UNIFORMS_PER_VIEW)[:, 0], recipe, 16, 16)
    operations = pack(parameters, recipe)[:, table.OPERATIONS : table.OPERATIONS + 4]
    assert sorted(operations.unique().tolist()) == [0.0, 2.0, table.NO_OPERATION]


@pytest.mark.parametrize("at_once", [1, 7, 1024])
def test_a_table_is_the_epochs_draws_however_many_are_drawn_at_once(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "_IMAGES_AT_ONCE", at_once)
    drawn = draw_table(5, 2, 23, 3, TUTORIAL, (16, 20))
    draws = uniforms(5, 2, 23, 3, UNIFORMS_PER_VIEW).flatten(0, 1)
    expected = pack(draw_parameters(draws, TUTORIAL, 16, 20), TUTORIAL).view(23, 3, COLUMNS)
    assert torch.equal(drawn, expected)
    assert not torch.equal(drawn, draw_table(5, 3, 23, 3, TUTORIAL, (16, 20)))


def test_epochs_may_be_asked_for_in_any_order(tables: EpochTables) -> None:
    """One that was drawn ahead, one again, one back, and one far ahead."""
    config = PretrainConfig(image_size=16, seed=5)
    recipe = dataclasses.replace(TUTORIAL, blur_kernel_size=config.blur_kernel_size)
    for epoch in (1, 2, 2, 1, 7, 3):
        order_N, table_NVK = tables.of(epoch)
        assert torch.equal(order_N, permutation(5, epoch, 23))
        assert torch.equal(table_NVK, draw_table(5, epoch, 23, 2, recipe, (16, 16)))


def test_tables_that_were_closed_can_be_asked_on(tables: EpochTables, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a trial that rests between two turns are, on a device whose tables are drawn ahead."""
    monkeypatch.setattr(tables, "_device", SimpleNamespace(type="cuda"))
    drawn = {epoch: (permutation(5, epoch, 23), torch.zeros(23, 2, COLUMNS)) for epoch in (1, 2, 3)}
    monkeypatch.setattr(tables, "_draw", lambda epoch: [Here(value) for value in drawn[epoch]])
    for epoch in (1, 2, 3):
        order_N, _ = tables.of(epoch)
        assert torch.equal(order_N, permutation(5, epoch, 23))
        tables.close()


class Here:
    """A tensor that is on whatever device it is asked for."""

    def __init__(self, value: torch.Tensor) -> None:
        self.value = value

    def to(self, _device: object, *, non_blocking: bool) -> torch.Tensor:
        assert non_blocking
        return self.value


def test_a_batch_may_share_its_first_images_rows() -> None:
    """A slow reference, with a short last batch."""
    drawn, order_N = draw_table(0, 1, 11, 2, TUTORIAL, (8, 8)), permutation(0, 1, 11)
    shared = share(drawn, order_N, 4)
    for place, image in enumerate(order_N.tolist()):
        assert torch.equal(shared[image], drawn[order_N[place // 4 * 4]])
