"""The ring of figures, against a list."""

import torch

from trainer.ring import MetricsRing


def test_a_row_holds_its_step_until_the_ring_comes_round() -> None:
    ring = MetricsRing(2, torch.device("cpu"), 3)
    rows = []
    for step in range(7):
        ring.write(torch.tensor([float(step), -float(step)]))
        rows.append(ring.latest())
        newest = range(max(0, step - 2), step + 1)
        assert [rows[k].tolist() for k in newest] == [[float(k), -float(k)] for k in newest]
    assert rows[0].tolist() == [6.0, -6.0]


def test_a_figure_that_is_not_finite_stays_in_its_row() -> None:
    ring = MetricsRing(1, torch.device("cpu"), 3)
    for figure in (1.0, float("nan"), 3.0):
        ring.write(torch.tensor([figure]))
    assert [ring.latest().isnan().item() for _ in range(3)] == [False, True, False]


def test_a_ring_that_is_put_back_writes_the_same_row_again() -> None:
    """What a trial step does to it is undone by its tensors alone."""
    ring = MetricsRing(1, torch.device("cpu"), 3)
    before = [value.clone() for value in ring.tensors]
    ring.write(torch.tensor([5.0]))
    assert ring.peek().item() == 5.0
    for value, copy in zip(ring.tensors, before, strict=True):
        value.copy_(copy)
    ring.write(torch.tensor([7.0]))
    assert ring.latest().item() == 7.0
