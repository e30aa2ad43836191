"""Real runs made sick on purpose, each named for what it is, and healthy ones that never are."""

from pathlib import Path

import pytest
import torch

from tests.trainer.data_files import write_folder
from trainer.run import main
from trainer.store import RunStore

TINY = [
    *("--dataset=shapes", "--limit-per-class=16", "--limit-test-per-class=4", "--image-size=16"),
    *("--backbone=resnet-narrow", "--head-width=64", "--projection-size=32", "--batch-size=16", "--temperature=0.2"),
    *("--learning-rate=1e-3", "--schedule=step", "--crop-scale-min=0.4", "--num-workers=0", "--threads=1"),
    *("--device=cpu", "--knn-every=4", "--validate-every=4", "--no-evaluate-at-end"),
]
"""10 steps an epoch."""


def train(store: RunStore, runs: Path, *options: str) -> tuple[str | None, str | None, list[str]]:
    """Level and rule of a run's last verdict, and the sentences of all warnings on its health."""
    code = main(["--runs-dir", str(runs), "--name", "a", *TINY, *options])
    run = store.find("a")
    assert code == (1 if run.health_rule == "non-finite" else 0)
    told = [e.message for e in store.events(run_id=run.id) if e.kind == "health" and e.level == "warning"]
    return run.health_level, run.health_rule, told


@pytest.mark.parametrize("method", ["simclr", pytest.param("supcon", marks=pytest.mark.reliability), "cross-entropy"])
def test_a_healthy_run_is_never_warned_of(store: RunStore, runs: Path, method: str) -> None:
    level, rule, told = train(store, runs, "--epochs=8", "--seed=5", f"--method={method}", "--hold-out=0.25")
    assert (level, told) in (("good", []), ("unsure", [])), rule


def test_a_fork_that_is_over_has_learned_however_few_epochs_are_its_own(store: RunStore, runs: Path) -> None:
    train(store, runs, "--epochs=8", "--seed=5", "--validate-every=0", "--knn-every=0")
    parent = store.find("a")
    assert parent.health == "learned normally"
    assert main(["--runs-dir", str(runs), "--fork", parent.id, "--name", "b", "--epochs=9"]) == 0
    assert store.find("b").health == "learned normally"


def test_a_learning_rate_100_times_too_high_is_seen(store: RunStore, runs: Path) -> None:
    level, rule, told = train(store, runs, "--epochs=12", "--learning-rate=0.1")
    assert level in ("sick", "warning")
    assert rule in ("collapse-z", "collapse-h", "stuck-at-chance", "loss-rising", "non-finite")
    assert told


def test_without_negatives_the_embeddings_collapse_and_it_says_so(store: RunStore, runs: Path) -> None:
    level, rule, told = train(store, runs, "--epochs=8", "--no-negatives", "--learning-rate=3e-3")
    assert (level, rule) == ("sick", "collapse-z")
    assert told[-1].endswith("give --negatives (rule collapse-z)")


@pytest.mark.parametrize("augment", ["kornia", "torchvision"])
def test_images_that_share_their_augmentation_are_seen_at_once(store: RunStore, runs: Path, augment: str) -> None:
    level, rule, told = train(store, runs, "--epochs=1", "--same-on-batch", f"--augment={augment}")
    assert (level, rule, len(told)) == ("sick", "shared-parameters", 1)


def test_views_that_are_the_same_are_seen_at_once(store: RunStore, runs: Path) -> None:
    nothing = ("--crop-scale-min=1", "--crop-ratio-max=1", "--flip-probability=0", "--jitter-probability=0")
    level, rule, _ = train(store, runs, "--epochs=1", *nothing, "--grayscale-probability=0", "--blur-probability=0")
    assert (level, rule) == ("sick", "identical-views")


def test_images_that_are_all_the_same_are_seen_at_once(store: RunStore, runs: Path, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "own", train=40, test=2)
    one = (root / "train" / "cat" / "0000.png").read_bytes()
    for path in (root / "train").rglob("*.png"):
        path.write_bytes(one)
    level, rule, _ = train(store, runs, "--epochs=1", f"--dataset=folder:{root}")
    assert (level, rule) == ("sick", "constant-images")


def test_figures_are_of_the_same_views_each_time_and_begin_with_the_untrained_network(
    store: RunStore, runs: Path
) -> None:
    train(store, runs, "--epochs=2", "--learning-rate=1e-8", "--health-every=2")
    series = store.metrics(store.find("a").id)
    assert {step for points in series.values() for step, _ in points} == {0, 20}
    # Batch norm's statistics have moved; the weights and the views have not.
    assert all(torch.isfinite(torch.tensor([value for _, value in points])).all() for points in series.values())


def test_health_can_be_left_out(store: RunStore, runs: Path) -> None:
    level, _, told = train(store, runs, "--epochs=2", "--health-every=0")
    assert store.metrics(store.find("a").id) == {}
    assert (level, told) == ("unsure", [])
