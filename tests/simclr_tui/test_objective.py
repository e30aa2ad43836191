"""What figures are worth by chance, for each method."""

import math
from pathlib import Path
from typing import Any

import pytest

from simclr_tui.objective import accuracy_chance, loss_chance, method_of
from tests.simclr_tui.support import add_run
from trainer.store.records import Run
from trainer.store.runs import RunStore


def run_of(runs: Path, **settings: Any) -> Run:
    store = RunStore.open(runs)
    run = store.run(add_run(store, "one", **settings))
    store.close()
    return run


@pytest.mark.parametrize("views", [2, 3])
def test_simclr_is_held_against_ln_of_all_other_views(runs: Path, views: int) -> None:
    run = run_of(runs, views=views)
    assert method_of(run) == "simclr"
    assert loss_chance(run) == pytest.approx(math.log(views * 128 - 1))
    assert accuracy_chance(run) is not None


def test_supcon_has_the_same_chance_of_the_loss_and_none_of_the_accuracy(runs: Path) -> None:
    run = run_of(runs, method="supcon")
    assert loss_chance(run) == pytest.approx(math.log(255))
    assert accuracy_chance(run) is None


@pytest.mark.parametrize("settings", [{"method": "cross-entropy"}, {"negatives": False}])
def test_where_chance_is_no_function_of_the_batch_there_is_none(runs: Path, settings: dict[str, Any]) -> None:
    run = run_of(runs, **settings)
    assert loss_chance(run) is None


def test_a_job_has_no_method(runs: Path) -> None:
    store = RunStore.open(runs)
    job = store.run(store.create_run(kind="evaluate", name="job", config="{}"))
    store.close()
    assert (method_of(job), loss_chance(job), accuracy_chance(job)) == ("", None, None)
