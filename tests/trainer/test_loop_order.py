"""The order in which the loop does things: what comes before what, what is done again, and who is refused."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from trainer import loop
from trainer.anatomy import EpochSums
from trainer.clock import RunClock
from trainer.control import EndRequested, Intent
from trainer.device import prepare
from trainer.epoch_timer import EpochTimer
from trainer.errors import StoreError
from trainer.timing import DeviceClock

Calls = list[Any]
"""What was called, in order."""


class Noting(SimpleNamespace):
    """Has whatever is asked of it that it was not given: a function that notes its name, and gives nothing."""

    def __init__(self, calls: Calls, **given: Any) -> None:
        super().__init__(calls=calls, **given)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: self.calls.append(name)


def training_of(calls: Calls, **given: Any) -> Any:
    """A training whose parts note what is asked of them."""
    control = Noting(calls, phase=lambda _: nullcontext(), intent=lambda: None, take_save=lambda: False)
    usual = {
        "config": SimpleNamespace(epochs=9),
        "recorder": Noting(calls, due=False, all_committed=True),
        "timer": Noting(calls, host=lambda _: nullcontext()),
        "saver": Noting(calls, may_begin=True, look=lambda: None, is_better=lambda _: False),
        "keeper": Noting(calls, due=False, is_milestone=lambda _: False),
        "health": Noting(calls, is_due_again=False, due=lambda _: False),
        "job": Noting(calls, control=control),
    }
    return SimpleNamespace(**usual | given)


def state_of(**given: Any) -> Any:
    """A state after three steps."""
    usual = {"step": 3, "closed_epochs": 0, "clock": RunClock(), "guard": SimpleNamespace(has_tripped=False)}
    return SimpleNamespace(**usual | {"payload": dict, "model": "trained", "scored_model": "averaged"} | given)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Notes what the loop does too, but for showing how far it is."""
    noted: Calls = []
    monkeypatch.setattr(loop, "_show_progress", lambda *_: None)
    return noted


def test_a_pause_that_is_refused_while_a_batch_is_waited_for_leaves_no_step_out(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batches begin anew behind the last step that was taken, and each step is a sign of life."""
    begun: list[int] = []
    beats: list[int] = []
    state = state_of(step=5, closed_epochs=1)

    def batches(epoch: int, *, first_batch: int, part: Any) -> Iterator[int]:
        assert (epoch, part) == (2, training.timer.host)
        begun.append(first_batch)
        for number in range(first_batch, 5):
            if len(begun) == 1 and number == 2:
                raise EndRequested(Intent.PAUSE)
            yield number

    def take(_training: Any, _state: Any, _epoch: int, batch: int, *, t_data: float) -> str:
        assert t_data >= 0
        calls.append(batch)
        state.step += 1
        return "record"

    monkeypatch.setattr(loop, "_take_step", take)
    monkeypatch.setattr(loop, "_give_way", lambda *_: calls.append("refused"))
    monkeypatch.setattr(loop, "_between_steps", lambda *_: None)
    training = training_of(
        [],
        loader=SimpleNamespace(steps_per_epoch=lambda: 5, epoch=batches),
        timer=EpochTimer(DeviceClock(prepare(device="cpu", threads=1)), EpochSums()),
        job=SimpleNamespace(control=SimpleNamespace(beat=beats.append)),
    )
    loop._train_epoch(training, state, 2)
    assert calls == [0, 1, "refused", 2, 3, 4]
    assert begun == [0, 2]
    assert beats == [6, 7, 8, 9, 10]


@pytest.mark.parametrize("is_saved", [True, False])
@pytest.mark.parametrize("intent", Intent)
def test_only_a_persons_wish_is_refused_where_nothing_can_be_saved(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, intent: Intent, is_saved: bool
) -> None:
    reasons: list[str] = []

    def save(_training: Any, _state: Any, _epoch: int, reason: str) -> bool:
        reasons.append(reason)
        return is_saved

    monkeypatch.setattr(loop, "_save", save)
    if not is_saved and intent in (Intent.PAUSE, Intent.STOP):
        loop._give_way(training_of(calls), state_of(), 1, intent)
        assert calls == ["refuse", "warn"]
    else:
        with pytest.raises(EndRequested) as caught:
            loop._give_way(training_of(calls), state_of(), 1, intent)
        assert caught.value.message == (intent.message if is_saved else intent.unsaved)
        assert calls == []
    assert reasons == [intent.lifecycle]


def test_a_checkpoint_comes_after_its_steps_the_one_that_is_being_written_and_what_the_device_still_does(
    calls: Calls,
) -> None:
    def flush(*, trained_seconds: float, retry: bool = False) -> None:
        assert trained_seconds >= 0
        calls.append("flush, waiting" if retry else "flush")

    training = training_of(calls)
    training.recorder.flush = flush
    assert loop._save(training, state_of(), 1, "interval")
    assert calls == ["flush, waiting", "finish", "settle", "save"]


def test_no_checkpoint_is_written_whose_steps_the_store_has_not(calls: Calls) -> None:
    training = training_of(calls)
    training.recorder.all_committed = False
    with pytest.raises(StoreError, match="could not be committed"):
        loop._write(training, state_of(), 1, "final", None)
    assert calls == ["flush"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), StoreError("the database is full")])
def test_a_checkpoint_that_could_not_be_written_is_told_and_training_goes_on(calls: Calls, error: Exception) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    training = training_of(calls, keeper=SimpleNamespace(failed=lambda *given: calls.append(given)))
    training.saver.save = refuse
    training.job.reporter = Noting(calls)
    assert not loop._save(training, state_of(), 1, "interval")
    assert calls[-2:] == [(3, error), "note"]


def test_a_save_that_was_asked_for_goes_before_one_that_is_due(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_save", lambda *arguments: calls.append(arguments[3]))
    training = training_of(calls)
    training.keeper.due = True
    training.job.control.take_save = lambda: True
    loop._between_steps(training, state_of(), 1)
    assert calls == ["asked"]


@pytest.mark.parametrize(("is_due", "has_tripped"), [(False, False), (True, False), (False, True)])
def test_steps_are_committed_and_folded_when_due_and_at_once_when_one_was_not_finite(
    calls: Calls, is_due: bool, has_tripped: bool
) -> None:
    training = training_of(calls)
    training.recorder.due = is_due
    loop._between_steps(training, state_of(guard=SimpleNamespace(has_tripped=has_tripped)), 1)
    assert calls == (["flush", "fold"] if is_due or has_tripped else [])


@pytest.mark.parametrize("is_looked_at", [True, False])
def test_the_averaged_weights_are_scored_and_again_where_the_end_was_refused_meanwhile(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, is_looked_at: bool
) -> None:
    asked: list[str] = ["pause"]

    def measure(model: Any, epoch: int) -> dict[str, Any]:
        calls.append((model, epoch))
        if asked:
            asked.pop()
            raise EndRequested(Intent.PAUSE)
        return {"knn_top1": 0.5}

    monkeypatch.setattr(loop, "_give_way", lambda *_: calls.append("refused"))
    training = training_of(calls, measure_epoch=measure, give_back_pages=lambda: calls.append("pages"))
    training.health.due = lambda _: is_looked_at
    training.health.measure = lambda model, *, step: calls.append((model, step))
    assert loop._measure(training, state_of(), 2) == {"knn_top1": 0.5}
    looked = [("averaged", 3)] if is_looked_at else []
    assert calls == ["flush", ("averaged", 2), "refused", "flush", ("averaged", 2), *looked, "pages"]


@pytest.mark.parametrize(
    ("figures", "is_looked_at", "given"), [({}, False, 0), ({"knn_top1": 0.5}, False, 1), ({}, True, 1)]
)
def test_pages_are_given_back_after_an_evaluation_or_a_look_and_not_after_steps_alone(
    calls: Calls, figures: dict[str, Any], is_looked_at: bool, given: int
) -> None:
    """The next epoch would ask for them again at once."""
    training = training_of(calls, measure_epoch=lambda *_: figures, give_back_pages=lambda: calls.append("pages"))
    training.health.due = lambda _: is_looked_at
    training.health.measure = lambda *_, **__: None
    assert loop._measure(training, state_of(), 2) == figures
    assert calls.count("pages") == given


@pytest.mark.parametrize(
    ("epochs", "is_milestone", "saved"),
    [(1, True, "the final checkpoint: final"), (9, True, "milestone"), (9, False, "best")],
)
def test_an_epoch_is_committed_ended_written_and_then_saved_for_the_first_reason_that_holds(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, epochs: int, is_milestone: bool, saved: str
) -> None:
    """The last one is insisted on though it is a milestone as well."""
    state, insisting = state_of(), [""]

    def insist(_training: Any, what: str, write: Callable[[], None]) -> None:
        insisting[0] = f"{what}: "
        write()
        insisting[0] = ""

    def note(what: str) -> None:
        calls.append(f"{insisting[0]}{what}")

    def save(_training: Any, state: Any, epoch: int, reason: str, knn_top1: float | None) -> None:
        assert (state.closed_epochs, epoch, knn_top1) == (1, 1, 0.5)
        note(reason)

    monkeypatch.setattr(loop, "_measure", lambda *_: {"knn_top1": 0.5})
    monkeypatch.setattr(loop, "_insist", insist)
    monkeypatch.setattr(loop, "_commit_steps", lambda *_: note("steps"))
    monkeypatch.setattr(loop, "_put_epoch", lambda *_: note("row"))
    for name in ("_write", "_save"):
        monkeypatch.setattr(loop, name, save)
    training = training_of(calls, config=SimpleNamespace(epochs=epochs))
    training.keeper.is_milestone, training.saver.is_better = lambda _: is_milestone, lambda _: True
    state.clock = Noting(calls)
    loop._close_epoch(training, state, 1)
    assert calls == ["the steps of epoch 1: steps", "end_epoch", "next_epoch", "epoch 1: row", "judge", saved]
