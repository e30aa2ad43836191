"""What the header and the summary send to the terminal: nothing as long as they say the same."""

import shutil
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from textual.content import Content

from simclr_tui.app import DashboardApp
from simclr_tui.charts.drawn import Drawn
from simclr_tui.model import Curves, RunRow
from simclr_tui.widgets.header import Header, _device_parts
from simclr_tui.widgets.summary import RunSummary
from tests.simclr_tui.support import screen_text, wait_for_text
from trainer.store import RunStore
from trainer.store.records import Run


@dataclass
class Clock:
    """A clock that stands still until it is set."""

    now: float

    def time(self) -> float:
        return self.now


def counting(render: Callable[[], Content], counted: list[str]) -> Callable[[], Content]:
    """The same, noting each call."""

    def counts() -> Content:
        line = render()
        counted.append(line.plain)
        return line

    return counts


async def test_the_header_is_painted_when_its_text_changes_and_never_else(
    runs: Path, some_runs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(time.time() + 1)
    monkeypatch.setattr("simclr_tui.widgets.header.time", clock)
    app = DashboardApp(runs)
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "1 queued", "device idle")
        await pilot.pause(0.3)
        header = app.screen.query_one(Header)
        painted: list[str] = []
        monkeypatch.setattr(header, "render", counting(header.render, painted))
        await pilot.pause(1.6)
        assert painted == [], "three polls and three ticks have nothing new"
        clock.now += 1
        header.polled_at = clock.now
        await pilot.pause(1.1)
        assert len(painted) == 1
        assert painted[0] == screen_text(app).splitlines()[0]
        header.rows = ()
        header.show()
        await pilot.pause()
        assert len(painted) == 2
        assert "queued" not in painted[1]


async def test_the_summary_is_painted_when_its_text_changes_and_never_else(
    runs: Path, some_runs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(time.time())
    monkeypatch.setattr("simclr_tui.widgets.summary.time", clock)
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "finished · epoch 15/15")
        await pilot.pause(0.3)
        summary = app.screen.query_one(RunSummary)
        painted: list[str] = []
        monkeypatch.setattr(summary, "render", counting(summary.render, painted))
        summary.keep_time()
        await pilot.pause()
        assert painted == []
        clock.now += 400 * 86400  # the date of another year is written differently
        summary.keep_time()
        await pilot.pause()
        assert len(painted) == 1


async def test_when_a_run_ended_and_how_long_it_trained_is_told_whole_in_the_usual_size(
    runs: Path, some_runs: dict[str, str]
) -> None:
    ended = "lifecycle_at = lifecycle_at - 3 * 86400, epoch = 500, trained_seconds = 45300"
    with closing(RunStore.open(runs)) as store, store._write() as connection:
        connection.execute(f"UPDATE runs SET {ended} WHERE id = ?", (some_runs["done"],))
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "finished · epoch 500/", ", trained 12 h 35 min")


async def test_when_a_long_run_ends_is_told_whole_and_its_bar_makes_room(run: Run) -> None:
    row = RunRow(replace(run, epoch=212, step=212 * 390, total_steps=500 * 390, steps_per_epoch=390), "running", 0)
    one = Drawn(row, Curves(run_id=run.id, epochs=({"epoch": 211, "t_epoch": 450.0},)))
    summary = RunSummary()
    line = summary._status(one, 71, 0.0).plain
    assert line.startswith("42 % · running · epoch 212/500 · ends ")
    assert line.endswith(" (in 1 d 12 h)")
    assert len(line) <= 71
    assert summary._status(one, 100, 0.0).plain.endswith(f" {line}"), "behind the bar where there is room"
    assert summary._status(one, len(line) - 1, 0.0).plain == line.removeprefix("42 % · ")


@pytest.mark.parametrize(
    ("free_bytes", "words"), [(1 << 40, None), (300 << 20, "disk 300 MiB free"), (4096, " disk full ")]
)
async def test_little_room_on_the_disk_is_said_in_the_first_line(
    free_bytes: int, words: str | None, runs: Path, some_runs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simclr_tui.feed.shutil.disk_usage", lambda _: shutil._ntuple_diskusage(1 << 41, 0, free_bytes))
    app = DashboardApp(runs)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_text(pilot, "resting", "device idle")
        await wait_for_text(pilot, *[words] if words else [])
        assert words or "disk" not in screen_text(app).splitlines()[0]


@pytest.mark.parametrize(
    ("tenths_of_gib", "words"), [(4, "CPU  86 %  0.40 GiB"), (12, "CPU  86 %  1.20 GiB"), (120, "CPU  86 %  12.00 GiB")]
)
def test_the_memory_of_a_process_has_as_many_decimals_at_every_poll(tenths_of_gib: int, words: str) -> None:
    sample = {"at": 0.0, "run_id": "x", "source": "cpu", "gpu_util": 86.0, "gpu_memory_bytes": None}
    sample |= {"gpu_memory_total_bytes": None, "process_memory_bytes": tenths_of_gib * 2**30 / 10}
    sample |= {"power_watts": None, "temperature_celsius": None}
    parts = _device_parts(sample, [], now=0.0)
    assert "".join(part if isinstance(part, str) else part[0] for part in parts) == words
