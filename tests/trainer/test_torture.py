"""Kill and resume on this machine: real trainers, real kills; and trainers that are broken on purpose are found out."""

import random
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.processes import until
from tests.reliability import trainers
from tests.trainer.test_store import make_run, step_row
from trainer.errors import TrainerError
from trainer.store.runs import RunStore
from trainer.torture import Killable, Process, torture
from trainer.torture_compare import Comparison, compare, replayed
from trainer.torture_outcome import Kill, Outcome


class Forked:
    """A trainer of the fork server, which does not wait for torch to be imported."""

    def __init__(self, runs: Path, arguments: Sequence[str], control: str = "") -> None:
        words = [*arguments] if "--run" in arguments else [*arguments, "--threads", "1"]
        self._trainer = trainers.Trainer(runs, *words, control=control, log=runs / "torture.log")

    def poll(self) -> int | None:
        """Its exit code, or None while it lives."""
        return self._trainer.process.exitcode

    def kill(self) -> None:
        """kill -9, waiting until it is gone."""
        self._trainer.kill()


def unkeyed(runs: Path, arguments: Sequence[str]) -> Process:
    return Forked(runs, arguments, control="unkeyed")


@pytest.fixture(autouse=True)
def no_trainer_is_left() -> object:
    """Kill what a failed test left behind."""
    yield
    for trainer in trainers.started:
        trainer.process.kill()
    trainers.started.clear()


def test_nobody_is_told_of_kills_that_are_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMCLR_TUI_NOTIFY", "json://127.0.0.1:1")
    process = Killable(tmp_path, ["--help"])
    environment = Path(f"/proc/{process._process.pid}/environ")
    until(environment.read_bytes)  # the kernel shows none as long as the program is being loaded
    around = environment.read_bytes().split(b"\0")
    process.kill()
    assert [one for one in around if one.startswith(b"SIMCLR_TUI_NOTIFY=")] == [b"SIMCLR_TUI_NOTIFY=off"]


@pytest.mark.reliability
@pytest.mark.timeout(300)
def test_a_run_that_is_killed_equals_one_that_never_was(tmp_path: Path) -> None:
    said: list[str] = []
    outcome = torture(
        tmp_path, kills=2, training_seconds=4, device="cpu", start=Forked, draw=random.Random(1), tell=said.append
    )
    assert outcome.comparison is not None
    assert outcome.comparison.differences == ()
    assert outcome.comparison.compared > 300
    assert outcome.landed >= 1
    assert outcome.is_good, outcome
    assert outcome.summary().startswith(f"{outcome.landed} kill")
    assert len(said) == 3
    assert any(kill.right_after_resume for kill in outcome.kills)
    assert outcome.kills[-1].number == 2


@pytest.mark.reliability
@pytest.mark.timeout(300)
def test_a_trainer_whose_randomness_is_state_is_found_out(tmp_path: Path) -> None:
    """The negative control. The last kill comes late, since the first epoch's draws are those of a new generator."""
    outcome = torture(tmp_path, kills=3, training_seconds=4, device="cpu", start=unkeyed, draw=random.Random(1))
    assert outcome.landed >= 1
    assert outcome.comparison is not None
    assert outcome.comparison.differences
    assert not outcome.is_good
    assert "0 differences" not in outcome.summary()


@pytest.mark.timeout(300)
def test_a_trainer_that_fails_by_itself_is_an_error_that_names_its_log(tmp_path: Path) -> None:
    def failing(runs: Path, arguments: Sequence[str]) -> Process:
        return Forked(runs, [*arguments, "--batch-size", "100000"])

    with pytest.raises(TrainerError, match=r"exit code 2 .*--batch-size.*torture\.log"):
        torture(tmp_path, kills=1, device="cpu", start=failing)


def two_runs(store: RunStore, *, last_loss: float = 2.0, steps: int = 3) -> tuple[str, str]:
    left, right = make_run(store, "left"), make_run(store, "right")
    store.append(left, [step_row(step, 2.0) for step in (1, 2, 3)])
    store.append(right, [step_row(step, last_loss if step == 3 else 2.0) for step in range(1, steps + 1)])
    for run_id in (left, right):
        store.put_epoch(run_id, 1, {"loss": 2.0, "t_epoch": random.random(), "knn_top1": 0.5})
    return left, right


def save(store: RunStore, run_id: str, *, weight: float = 1.0, seconds: float = 0.0) -> None:
    """A checkpoint with one weight."""
    import torch

    from trainer import checkpoint
    from trainer.config import PretrainConfig
    from trainer.paths import checkpoint_dir

    payload = {"model": {"w": torch.tensor([weight, 0.0])}, "step": 3, "clock": {"trained": seconds}}
    manifest = {"run_id": run_id, "name": "n", "preset": None, "created_at": 1.0, "step": 3, "epoch": 1}
    manifest |= {"reason": "final", "knn_top1": None, "config": PretrainConfig().to_json()}
    checkpoint.save(checkpoint_dir(store.runs_path, run_id), payload, manifest)


@pytest.mark.parametrize(
    ("changes", "weight", "found", "is_close"),
    [
        ({}, 1.0, [], True),
        ({"last_loss": 2.0000000000000004}, 1.0000001, ["step 3: loss", "checkpoint/model/w"], True),
        ({"last_loss": 9.0, "steps": 4}, 1.0, ["step 3: loss", "step 4 is missing in one run"], False),
    ],
    ids=["the same", "one bit of a loss and of a weight", "another loss and a step too many"],
)
def test_every_difference_is_named(
    store: RunStore, changes: dict[str, float], weight: float, found: list[str], is_close: bool
) -> None:
    left, right = two_runs(store, **changes)  # type: ignore[arg-type]
    save(store, left, seconds=1.0)
    save(store, right, weight=weight, seconds=2.0)
    comparison = compare(store.runs_path, left, right)
    assert list(comparison.differences) == found
    assert comparison.is_close == is_close


def test_minus_zero_and_nan_are_compared_by_their_bits(tmp_path: Path) -> None:
    import torch

    from trainer.same_weights import differing

    def put(name: str, *values: float) -> Path:
        torch.save({"model": {"w": torch.tensor(values)}}, tmp_path / name)
        return tmp_path / name

    nan = put("nan", float("nan"), 0.0)
    assert differing(nan, put("same", float("nan"), 0.0)) == ([], 1)
    assert differing(nan, put("minus", float("nan"), -0.0)) == (["/model/w"], 1)
    torch.save({"model": {"v": torch.zeros(2)}}, tmp_path / "other")
    assert differing(nan, tmp_path / "other") == (["/model/v", "/model/w"], 2)


def test_replays_are_counted_as_the_trainers_told_them(runs: Path) -> None:
    with closing(RunStore.open(runs)) as store:
        run_id = make_run(store)
        assert replayed(runs, run_id) == (0, 0)
        store.event(run_id, "replay", "replay 12 of 12 identical")
        store.event(run_id, "replay", "replay 3 of 5 identical, close")
        assert replayed(runs, run_id) == (17, 15)
        store.event(run_id, "replay", "replay differs from step 4 on")
        assert replayed(runs, run_id) == (18, 15)


def outcome(**changes: object) -> Outcome:
    kill = Kill(number=1, landed=True, step=5, checkpoint=3, right_after_resume=False, workers="0")
    same = Comparison(differences=(), compared=9, largest_relative_difference=0.0, is_close=True)
    values = {"kills": [kill], "comparison": same, "replayed": 2, "identical": 2} | changes
    return Outcome(**values)  # type: ignore[arg-type]


def test_the_verdict_is_strict_where_bits_are_promised_and_close_where_they_are_not() -> None:
    apart = Comparison(differences=("step 1: loss",), compared=9, largest_relative_difference=0.001, is_close=True)
    far = Comparison(differences=("step 1: loss",), compared=9, largest_relative_difference=9.0, is_close=False)
    doubt = {"exactness": "not promised: --deterministic no"}
    assert outcome().is_good
    assert outcome().summary() == "1 kill, 0 differences, replay 2 of 2 identical"
    assert not outcome(comparison=apart).is_good
    assert not outcome(identical=1).is_good
    assert not outcome(kills=[]).is_good  # nothing was proved
    assert outcome(comparison=apart, identical=0, **doubt).is_good
    assert "close (losses differ by 0.001 at most)" in outcome(comparison=apart, **doubt).summary()
    assert not outcome(comparison=far, **doubt).is_good
