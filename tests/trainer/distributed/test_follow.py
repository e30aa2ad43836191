"""Runs of several processes under torchrun: what a person sees is one run, as one process would have trained it."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.trainers import Trainer, options
from tests.trainer.distributed import slowed
from tests.trainer.distributed.launched import Launched, Node, until
from tests.trainer.ranks import free_port
from tests.trainer.test_device_lock import user
from trainer import device_lock
from trainer.device import prepare
from trainer.devices import CPU
from trainer.distributed.follow import hold_device
from trainer.errors import BusyError
from trainer.ranks import Ranks
from trainer.store.rank_samples import rank_samples
from trainer.store.runs import RunStore
from trainer.straggler import Straggler, find_straggler, own_seconds

EPOCHS = 1
STEPS = 8
WATCHED_SECONDS = 65.0


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[list[Launched]]:
    """What was started, and is ended afterwards."""
    made: list[Launched] = []
    yield made
    for one in made:
        one.close()


def rows(runs: Path, name: str) -> list[tuple[Any, ...]]:
    """Step, loss and the figures beside it."""
    with closing(RunStore.open(runs)) as store:
        query = "SELECT step, loss, acc_top1, acc_mean_pos, grad_norm FROM steps WHERE run_id = ? ORDER BY step"
        return [tuple(row) for row in store._rows(query, (store.find(name).id,))]


def alone(runs: Path) -> list[tuple[Any, ...]]:
    """The rows of one process with the same settings."""
    assert Trainer(runs, *options(epochs=str(EPOCHS)), "--name", "alone").wait() == 0
    return rows(runs, "alone")


def test_two_ranks_train_the_run_of_one_process(tmp_path: Path, launched: list[Launched]) -> None:
    """float32: batch norm adds up in another order, so the first step is equal to 1e-5 and later ones drift apart."""
    runs = tmp_path / "runs"
    code = tmp_path / "code"
    words = [*options(epochs=str(EPOCHS), evaluate_at_end=True), "--name", "two", "--exit-file", str(code)]
    launched.append(Launched(runs, 2, words))
    assert launched[0].wait() == 0, launched[0].said
    assert code.read_text() == "0\n"
    found, expected = rows(runs, "two"), alone(runs)
    assert [row[0] for row in found] == list(range(1, STEPS + 1)), "one rank writes, and writes each step once"
    assert found[0] == pytest.approx(expected[0], rel=1e-3)
    assert found[0][1] == pytest.approx(expected[0][1], rel=1e-6)
    for mine, one in zip(found, expected, strict=True):
        assert mine[1] == pytest.approx(one[1], rel=0.02)
    with closing(RunStore.open(runs)) as store:
        run = store.find("two")
        assert (run.lifecycle, run.exactness) == ("finished", "promised")
        assert len(store.epochs(run.id)) == EPOCHS
        assert store.evaluations(run.id), "the first one evaluates in the end, and the others wait for it"


def test_a_rank_holds_its_device_beside_others_and_not_beside_a_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMCLR_TUI_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setattr(device_lock, "_CONVERSION_SECONDS", 0.1)
    machine, ranks = prepare(device="cpu", threads=1), Ranks(rank=3, world=4, local_rank=1)
    with user(CPU) as other:
        hold_device(machine, ranks)
        assert other.do("try_alone") == "False"
        device_lock.let_go_of_all()
        assert other.do("try_alone") == "True"
        with pytest.raises(BusyError, match=r"the CPU of rank 3 on .* is held by a benchmark; wait until it ends"):
            hold_device(machine, ranks)


@pytest.mark.reliability
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch_size": "9"}, "--batch-size: 9 is no multiple of the 2 ranks; give 8 or 10"),
        ({"restart": "2"}, "--restart: torchrun starts ranks again by its own --max-restarts; leave it out"),
    ],
)
def test_what_ranks_can_not_do_ends_all_of_them_with_a_sentence(
    tmp_path: Path, launched: list[Launched], changes: dict[str, str], said: str
) -> None:
    launched.append(Launched(tmp_path / "runs", 2, options(**changes)))
    assert launched[0].wait() != 0
    assert said in launched[0].said


@pytest.mark.reliability
@pytest.mark.timeout(300)
def test_paused_killed_and_ended_ranks_leave_a_run_that_goes_on_with_any_number_of_them(
    tmp_path: Path, launched: list[Launched]
) -> None:
    runs = tmp_path / "runs"
    code = tmp_path / "code"
    words = [*options(epochs="100"), "--resume-or-start", "long", "--exit-file", str(code)]

    def begin(world: int, restarts: int = 0) -> Launched:
        launched.append(Launched(runs, world, words, restarts=restarts))
        return launched[-1]

    def reached() -> int:
        return store.last_step(store.find("long").id)

    first = begin(2, restarts=1)
    until(lambda: (runs / "runs.db").exists(), first)
    with closing(RunStore.open(runs)) as store:
        until(lambda: store.runs() and reached() > 10, first)
        store.request(store.find("long").id, "pause")
        assert first.wait() == 0, "torchrun takes any other code for a crash, and would start it again"
        assert store.find("long").lifecycle == "paused", first.said
        assert code.read_text() == "75\n"
        paused_at = reached()

        second = begin(2)
        until(lambda: reached() > paused_at + 10, second)
        second.kill(1)
        second.wait()
        assert store.find("long").lifecycle == "interrupted", second.said
        assert code.read_text() in ("75\n", "143\n"), (
            "the lost rank may be noticed before torchrun's SIGTERM, or after it"
        )

        killed_at = reached()
        third = begin(2, restarts=1)
        until(lambda: reached() > killed_at + 10, third)
        third.kill(1)
        again_at = reached()
        until(lambda: reached() > again_at + 10, third)
        assert third.is_there, "torchrun has started all ranks again by itself"
        third.terminate()
        third.wait()
        run = store.find("long")
        assert run.lifecycle == "interrupted", third.said
        assert "SIGTERM" in store.events(run_id=run.id)[-1].message
        assert run.exactness == "promised"

        ended_at = reached()
        fourth = begin(1)
        until(lambda: reached() > ended_at + 10, fourth)
        assert "ranks 2 → 1" in (store.find("long").exactness or "")
        store.request(run.id, "stop")
        fourth.wait()
        assert [row[0] for row in rows(runs, "long")] == list(range(1, reached() + 1))


@pytest.mark.reliability
@pytest.mark.timeout(300)
def test_two_machines_train_one_run_of_which_one_has_the_folder_and_a_lost_one_interrupts_it(
    tmp_path: Path, launched: list[Launched]
) -> None:
    runs, elsewhere = tmp_path / "runs", tmp_path / "elsewhere"
    elsewhere.mkdir()
    words = [*options(epochs="400"), "--name", "both"]
    port = free_port()
    for number, (folder, its_runs) in enumerate([(tmp_path, runs), (elsewhere, elsewhere / "no" / "runs")]):
        launched.append(Launched(its_runs, 1, words, node=Node(number, 2, port), folder=folder))
    first, second = launched
    until(lambda: (runs / "runs.db").exists(), first)
    with closing(RunStore.open(runs)) as store:
        until(lambda: store.runs() and store.last_step(store.find("both").id) > 20, first)
        run = store.find("both")
        until(lambda: {row["rank"] for row in rank_samples(store, run.id, seconds=60)} == {0, 1}, first)
        assert json.loads(run.fingerprint or "")["ranks"] == 2
        assert list(elsewhere.rglob("*")) == [], "the second machine writes nothing"
        second.close()
        assert first.wait() == 1
        run = store.find("both")
        assert (run.lifecycle, run.exit_code) == ("interrupted", 75), first.said


def own(store: RunStore, run_id: str) -> list[tuple[int, float | None]]:
    """Ranks with their own seconds of a step, as they came."""
    return [(row["rank"], own_seconds(row)) for row in rank_samples(store, run_id, seconds=WATCHED_SECONDS)]


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_rank_that_is_slowed_is_named_and_none_where_none_is(
    tmp_path: Path, launched: list[Launched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a run whose second rank takes longer from a moment on. How it was before is the control."""
    runs, by = tmp_path / "runs", tmp_path / "by"
    monkeypatch.setenv(slowed.VARIABLE, str(by))
    words = [*options(epochs="100000"), "--name", "slow"]
    launched.append(Launched(runs, 2, words, module="tests.trainer.distributed.slowed"))
    until(lambda: (runs / "runs.db").exists(), launched[0])
    with closing(RunStore.open(runs)) as store:
        until(lambda: store.runs() and store.last_step(store.find("slow").id) > 5, launched[0])
        run_id = store.find("slow").id

        def found() -> Straggler | None:
            return find_straggler(rank_samples(store, run_id, seconds=WATCHED_SECONDS))

        time.sleep(WATCHED_SECONDS + 10)
        assert {row["rank"] for row in rank_samples(store, run_id, seconds=30)} == {0, 1}, launched[0].said
        assert found() is None, own(store, run_id)
        by.write_text("0.3")
        time.sleep(WATCHED_SECONDS + 10)
        named = found()
        assert named is not None, own(store, run_id)
        assert named.rank == 1
        assert named.slowdown > 0.3
        assert named.delay_seconds == pytest.approx(0.3, rel=0.5)
