"""An epoch by its parts: the bar, the words, the command and the dashboard."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simclr_tui.app import DashboardApp
from simclr_tui.charts.curves import CurveReader
from simclr_tui.commands.parser import parse
from simclr_tui.commands.reading import show_run
from simclr_tui.run.anatomy import EpochAnatomy
from simclr_tui.widgets.step_chart import StepChart
from tests.simclr_tui.support import AT_EACH_SIZE, STEPS_PER_EPOCH, screen_text, wait_for_text
from trainer.errors import UsageError
from trainer.parts import EPOCH_PARTS, STEP_PARTS
from trainer.store.reader import StoreReader
from trainer.store.records import AnatomyRow
from trainer.store.runs import RunStore

SECONDS = dict(zip(EPOCH_PARTS, (0.1, 0.2, 0.05, 0.5, 1.0, 0.05, 1.5, 0.1, 0.05, 0.2, 0.25, 0.0), strict=True))
"""4 s."""


def columns(part: str, seconds: float, *, sampled: bool = False) -> dict[str, Any]:
    """A row of `anatomy` as the trainer puts it."""
    of_step = part in STEP_PARTS
    steps = 5 if sampled and of_step else STEPS_PER_EPOCH
    clock = "device" if of_step else "host"
    return {
        "part": part,
        "seconds": seconds,
        "clock": clock,
        "is_sampled": int(sampled and of_step),
        "steps": steps,
    }


def rows(seconds: dict[str, float], *, epoch: int = 1, sampled: bool = False) -> list[AnatomyRow]:
    """The rows of an epoch as they are read."""
    return [AnatomyRow(run_id="x", epoch=epoch, **columns(part, one, sampled=sampled)) for part, one in seconds.items()]


def put(runs: Path, run_id: str, epoch: int, *, sampled: bool = False, **changes: float) -> None:
    """Store the parts of an epoch, and its row."""
    store = RunStore.open(runs)
    seconds = SECONDS | changes
    store.put_anatomy(run_id, epoch, [columns(part, one, sampled=sampled) for part, one in seconds.items()])
    store.put_epoch(run_id, epoch, {"t_epoch": sum(seconds.values()), "t_data": 0.0125, "t_idle": 0.8})
    store.close()


def show(runs: Path, *words: str) -> int:
    return show_run(parse(["show", *words]), runs)


@given(
    seconds=st.lists(st.floats(0, 100), min_size=len(EPOCH_PARTS), max_size=len(EPOCH_PARTS)),
    width=st.integers(1, 200),
)
def test_a_bar_is_as_wide_as_it_is_told_and_no_part_is_a_cell_off(seconds: list[float], width: int) -> None:
    for anatomy in EpochAnatomy.of(rows(dict(zip(EPOCH_PARTS, seconds, strict=True)))):
        for named in (True, False):
            assert sum(len(text) for text, _ in anatomy.bar(width, named=named)) == width
        for part, cells in anatomy.cells(width):
            assert abs(cells - width * part.share) < 1


def test_the_bar_tells_parts_apart_without_colour_and_names_them_where_there_is_room() -> None:
    (anatomy,) = EpochAnatomy.of(rows(SECONDS))
    plain = "".join(text for text, _ in anatomy.bar(80, named=False))
    letters = [part.letter for part in anatomy.parts]
    assert len(set(letters)) == len(EPOCH_PARTS)
    assert plain == "".join(
        letter * round(20 * SECONDS[part]) for letter, part in zip(letters, EPOCH_PARTS, strict=True)
    )
    wide = "".join(text for text, _ in anatomy.bar(80))
    assert "B backward 38 % BBB" in wide
    assert "F forward 25 % F" in wide
    assert "W waiting" not in wide
    assert anatomy.legend(40) == [
        "B backward 38 % · F forward 25 %",
        "A augmentation 12 % · E evaluation 6 %",
        "W waiting 5 % · K checkpoints 5 %",
        "S start 2 % · O optimiser 2 %",
        "C copy 1 % · L loss 1 % · G logging 1 %",
    ]


def test_neighbours_in_a_step_differ_in_ink() -> None:
    (anatomy,) = EpochAnatomy.of(rows(SECONDS))
    inks = [ink for _, ink in anatomy.bar(80)]
    assert all(one != other for one, other in itertools.pairwise(inks[1:])), "but waiting follows the start"


def test_epochs_are_apart_and_one_without_time_is_none() -> None:
    first, second = EpochAnatomy.of(rows(SECONDS) + rows(SECONDS | {"wait": 4.2}, epoch=2, sampled=True))
    assert (first.epoch, second.epoch) == (1, 2)
    assert (first.title(), second.title()) == ("epoch 1", "epoch 2, sampled")
    assert second.t_epoch == pytest.approx(8.0)
    assert second.steps == STEPS_PER_EPOCH
    assert EpochAnatomy.of([]) == EpochAnatomy.of(rows(dict.fromkeys(EPOCH_PARTS, 0.0))) == ()


def test_show_prints_where_the_seconds_of_the_newest_epoch_went(
    runs: Path, some_runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    put(runs, some_runs["done"], 14, wait=9.9)
    put(runs, some_runs["done"], 15)
    assert show(runs, "done", "--epoch") == 0
    text = capsys.readouterr().out
    assert f"done ({some_runs['done']}), epoch 15: t_epoch 4.000 s" in text
    table = {line.split("  ")[1]: line.split() for line in text.splitlines() if line.startswith("  ")}
    assert table["waiting for data"][3:] == ["0.200", "5.0", "%", "8.70", "host"]
    assert table["backward pass"][2:] == ["1.500", "37.5", "%", "65.2", "device"]
    assert "12.5 ms per step that the host waited for data" in text
    assert "0.8000 s, 20.0 % of the epoch, that the device waited between steps" in text
    assert "BBBBBBBBBB" in text
    assert "▲" not in text
    assert "sampled" not in text
    assert show(runs, "done", "--epoch", "14") == 0
    assert "epoch 14: t_epoch 13.70 s" in capsys.readouterr().out


def test_show_marks_what_is_sampled_and_warns_of_what_is_unexplained(
    runs: Path, some_runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    put(runs, some_runs["done"], 15, sampled=True, unexplained=0.2)
    assert show(runs, "done", "--epoch") == 0
    text = capsys.readouterr().out
    assert "epoch 15, sampled" in text
    assert text.count("device  sampled") == len(STEP_PARTS)
    assert f"sampled: 5 of {STEPS_PER_EPOCH} steps were measured part by part" in text
    assert "host    ▲ 3 % or more" in text
    assert "▲ 4.8 % of the epoch is in no part" in text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"augment": "torchvision", "num_workers": 0}, "by the training process, between steps"),
        ({"augment": "torchvision", "num_workers": 2}, "by the workers, meanwhile"),
        ({"augment": "kornia", "num_workers": 2}, "device"),
        ({}, "device"),
    ],
)
def test_show_says_who_augments(
    runs: Path, some_runs: dict[str, str], capsys: pytest.CaptureFixture[str], settings: dict[str, Any], words: str
) -> None:
    put(runs, some_runs["done"], 15)
    store = RunStore.open(runs)
    store.update_run(some_runs["done"], config=json.dumps(settings))
    store.close()
    assert show(runs, "done", "--epoch") == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("  augmentation"))
    assert line.rstrip().endswith(words)


def test_show_gives_the_parts_to_scripts(
    runs: Path, some_runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    put(runs, some_runs["done"], 15)
    assert show(runs, "done", "--epoch", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert {part["part"]: part["seconds"] for part in document["parts"]} == SECONDS
    assert (document["epoch"], document["steps"], document["t_idle"]) == (15, STEPS_PER_EPOCH, 0.8)
    assert document["unexplained_share"] == 0.0


def test_an_epoch_without_parts_is_refused_with_what_can_be_done(runs: Path, some_runs: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="done was trained by a version that stored no parts"):
        show(runs, "done", "--epoch")
    with pytest.raises(UsageError, match="no epoch of waiting has ended yet"):
        show(runs, "waiting", "--epoch")
    put(runs, some_runs["done"], 14)
    with pytest.raises(UsageError, match=r"--epoch 3: its parts are not stored; .* those of epoch 14"):
        show(runs, "done", "--epoch", "3")
    store = RunStore.open(runs)
    store.create_run(kind="benchmark", name="speeds", config="{}")
    store.close()
    with pytest.raises(UsageError, match="speeds is of kind benchmark and has no epochs"):
        show(runs, "speeds", "--epoch")


def test_only_the_newest_epochs_are_read_and_one_that_is_replaced_is_read_again(
    runs: Path, some_runs: dict[str, str]
) -> None:
    run_id = some_runs["done"]
    for epoch in range(1, 16):
        put(runs, run_id, epoch)
    reader = StoreReader.open(runs)
    curves = CurveReader(run_id)
    run = reader.run(run_id)
    first = curves.read(reader, run, 100)
    assert first is not None
    assert [one.epoch for one in EpochAnatomy.of(first.anatomy)] == list(range(8, 16))
    assert curves.read(reader, run, 100) is None
    put(runs, run_id, 15, wait=9.0)
    again = curves.read(reader, run, 100)
    assert again is not None
    assert EpochAnatomy.of(again.anatomy)[-1].t_epoch == pytest.approx(4.0 + 8.8)
    reader.close()


@AT_EACH_SIZE
async def test_the_dashboard_shows_the_epoch_below_the_step_times(
    runs: Path, some_runs: dict[str, str], size: tuple[int, int]
) -> None:
    put(runs, some_runs["done"], 14, wait=9.9)
    put(runs, some_runs["done"], 15)
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=size) as pilot:
        await wait_for_text(pilot, "● done")
        if size[0] == 80:
            await pilot.press("tab", "left_square_bracket", "left_square_bracket", "left_square_bracket")
        await wait_for_text(pilot, "a step, ms", "epoch 15 S", "B backward 38 %")
        assert ("B backward 38 % BB" in screen_text(app)) == (size[0] == 80)


async def test_a_run_without_parts_and_one_that_is_sampled(runs: Path, some_runs: dict[str, str]) -> None:
    put(runs, some_runs["done"], 15, sampled=True)
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "epoch 15, sampled ")
        await pilot.press("up")
        await wait_for_text(pilot, "▸■ resting")
        assert app.screen.query_one(StepChart).anatomy == ()
        assert "epoch 15, sampled" not in screen_text(app)
