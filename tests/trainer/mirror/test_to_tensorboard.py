"""Event files that grow with a run: one value a step, also for a TensorBoard that was open all the while."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from trainer.export.event_writer import EventWriter
from trainer.mirror.mark import Mark
from trainer.mirror.points import Point
from trainer.mirror.sink import About
from trainer.mirror.to_tensorboard import TensorBoardSink
from trainer.paths import mirrors_dir, new_run_id, run_dir, tensorboard_dir

RUN = new_run_id()


@pytest.fixture
def told(runs: Path) -> About:
    mirrors_dir(runs, RUN).mkdir(parents=True)
    folder = run_dir(runs, RUN)
    return About(id=RUN, name="first", settings={}, tags=(), note="", created_at=1.0, folder=folder, runs=runs)


def steps(first: int, last: int) -> list[Point]:
    return [Point("steps", (step,), step, float(step), {"train_loss": 1 / step}) for step in range(first, last + 1)]


def opened(told: About) -> EventAccumulator:
    found = EventAccumulator(str(tensorboard_dir(told.runs, RUN)), size_guidance={"scalars": 0})
    found.Reload()
    return found


def seen(found: EventAccumulator) -> list[int]:
    found.Reload()
    return [one.step for one in found.Scalars("train_loss")]


def lost_after_its_mark(told: About) -> tuple[Mark, EventAccumulator]:
    """A mirror that has marked five steps and written nine, and a TensorBoard that has read all nine."""
    mark, sink = Mark(), TensorBoardSink()
    sink.open(told, mark)
    sink.write(steps(1, 5))
    sink.sync(mark)
    mark.reached = {"steps": (5,)}
    sink.write(steps(6, 9))
    sink.flush()
    watching = opened(told)
    assert seen(watching) == list(range(1, 10))
    sink.abandon()
    return mark, watching


def go_on(told: About, mark: Mark) -> None:
    sink = TensorBoardSink()
    assert sink.open(told, mark) == {"steps": (5,)}
    sink.write(steps(6, 12))
    sink.close("finished")


def test_what_was_written_after_the_mark_is_there_once(told: About) -> None:
    mark, watching = lost_after_its_mark(told)
    go_on(told, mark)
    assert seen(opened(told)) == list(range(1, 13))
    assert seen(watching) == list(range(1, 13)), "one that was open forgets what it had read"


def test_without_the_event_that_says_so_an_open_tensorboard_shows_steps_twice(
    told: About, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, watching = lost_after_its_mark(told)
    monkeypatch.setattr(EventWriter, "restart", lambda *_: None)
    go_on(told, mark)
    assert seen(watching) == [*range(1, 10), *range(6, 13)]


def test_a_file_that_ends_in_half_a_record_costs_nothing(told: About) -> None:
    mark, _ = lost_after_its_mark(told)
    (path,) = tensorboard_dir(told.runs, RUN).iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    go_on(told, mark)
    assert seen(opened(told)) == list(range(1, 13))


def test_where_the_files_are_gone_all_is_asked_for_again(told: About) -> None:
    mark, _ = lost_after_its_mark(told)
    for path in tensorboard_dir(told.runs, RUN).iterdir():
        path.unlink()
    sink = TensorBoardSink()
    assert sink.open(told, mark) == {}
    sink.abandon()


def test_files_that_no_mark_tells_of_are_set_aside_and_not_deleted(told: About) -> None:
    lost_after_its_mark(told)
    (before,) = (path.read_bytes() for path in tensorboard_dir(told.runs, RUN).iterdir())
    sink = TensorBoardSink()
    assert sink.open(told, Mark()) == {}
    sink.write(steps(1, 3))
    sink.close("finished")
    assert seen(opened(told)) == [1, 2, 3]
    assert [path.read_bytes() for path in tensorboard_dir(told.runs, RUN).glob("aside-*")] == [before]


def test_nothing_new_leaves_no_file_and_a_clock_that_was_set_back_no_disorder(told: About) -> None:
    mark, sink = Mark(), TensorBoardSink()
    sink.open(told, mark)
    sink.write(steps(1, 5))
    sink.sync(mark)
    mark.reached = {"steps": (5,)}
    sink.close("paused")
    folder = tensorboard_dir(told.runs, RUN)
    (path,) = folder.iterdir()
    later = path.with_name(path.name.replace(path.name.split(".")[3], "4000000000"))
    path.rename(later)
    mark.own["file"] = later.name
    again = TensorBoardSink()
    again.open(told, mark)
    again.close("paused")
    assert [one.name for one in folder.iterdir()] == [later.name]
    go_on(told, mark)
    assert seen(opened(told)) == list(range(1, 13))
