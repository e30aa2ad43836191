"""What only a CUDA device can show of graphs: that real ones are taken, and that the host waits for nothing."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.trainer.test_graph import WAYS, Run
from tests.trainer.test_stepper import Told, made
from trainer.capture import CudaCapture
from trainer.device import Machine, prepare
from trainer.step import update
from trainer.transfer import Transfer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A CUDA device, deterministic."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return prepare(device="cuda", threads=1, precision="float32")


@pytest.fixture
def strict() -> Iterator[None]:
    """Every synchronisation that torch knows of raises; set within a test once what waits on purpose is done."""
    yield
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("settings", list(WAYS.values())[:2], ids=list(WAYS)[:2])
@pytest.mark.parametrize("compile", ["graph", "yes"])
def test_steps_of_a_real_graph_are_close_to_eager_ones(
    machine: Machine, settings: dict[str, Any], compile: str
) -> None:
    told = Told()
    eager, replayed = Run(settings | {"compile": "no"}, machine), Run(settings | {"compile": compile}, machine)
    replayed.stepper = made(replayed, told)
    assert replayed.stepper.mode == ("graph" if compile == "graph" else "compiled")
    expected, found = (torch.stack(run.go_on(10))[:, [0, 4]] for run in (eager, replayed))
    torch.testing.assert_close(expected, found, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("compile", ["no", "graph"])
def test_no_step_makes_the_host_wait(machine: Machine, compile: str, strict: None) -> None:
    run = Run({"compile": compile, "drop_last": True}, machine)
    run.stepper = made(run, Told())
    batches = [batch for epoch in (1, 2) for batch in run.loader.epoch(epoch)]
    run.stepper.take(batches[0], 1e-3)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    rows = [run.stepper.take(batch, 1e-3) for batch in batches]
    transfer = Transfer(rows)
    torch.cuda.set_sync_debug_mode("default")
    assert len(transfer.values()) == len(batches)


def test_a_look_at_a_figure_is_seen_as_waiting(machine: Machine, strict: None) -> None:
    """The negative control."""
    run = Run({"compile": "no"}, machine)
    figures = run.stepper.take(next(run.loader.epoch(1)), 1e-3)
    torch.cuda.set_sync_debug_mode("error")
    with pytest.raises(RuntimeError, match="synchroniz"):
        figures[0].item()


def test_a_copy_of_figures_arrives_by_itself(machine: Machine) -> None:
    rows = [torch.full((5,), float(k), device=machine.device) for k in range(3)]
    torch.cuda._sleep(200_000_000)
    transfer = Transfer(rows)
    assert not transfer.has_arrived
    rows[0].fill_(9.0)
    assert transfer.values() == [[float(k)] * 5 for k in range(3)]
    assert transfer.has_arrived


def test_a_capture_that_fails_half_way_leaves_torch_as_it_was(machine: Machine) -> None:
    """Its stream, an allocator that gives memory back, random numbers, and a capture that goes well."""
    held, stream = torch.ones(3, device=machine.device), torch.cuda.current_stream()
    capture = CudaCapture(machine.device)

    def ask() -> None:
        print((held + 1).sum().item())

    def add() -> None:
        held.add_(1)

    with pytest.raises(RuntimeError, match="captur"):
        capture.capture(ask)
    assert torch.cuda.current_stream() == stream
    torch.cuda.empty_cache()
    assert torch.rand(3, device=machine.device).isfinite().all()
    capture.capture(add)()
    assert held.tolist() == [2.0] * 3


def test_auto_takes_the_eager_steps_where_a_capture_fails_half_way(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    eager, run = Run({"compile": "no"}, machine), Run({"compile": "auto"}, machine)
    monkeypatch.setattr("trainer.graph.update", _update_and_ask)
    told = Told()
    run.stepper = made(run, told)
    assert run.stepper.mode == "eager"
    assert told[0][1] == "warning"
    expected, taken = (torch.stack(one.go_on(6)) for one in (eager, run))
    assert torch.equal(expected, taken)


def _update_and_ask(*arguments: Any, **options: Any) -> torch.Tensor:
    figures = update(*arguments, **options)
    if torch.cuda.is_current_stream_capturing():
        figures[0].item()
    return figures
