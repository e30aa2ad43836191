"""The ranks of a run in words, and on the screens that show them."""

import json
from pathlib import Path
from typing import Any

import pytest

from simclr_tui.__main__ import main
from simclr_tui.app import DashboardApp
from simclr_tui.run.ranks import RanksLook, look_at_ranks, rank_rows, short_rows, straggler_words
from tests.simclr_tui.support import add_run, wait_for_text
from trainer.store.runs import RunStore

GPU = "NVIDIA H100 80GB HBM3"


def rows(own: dict[int, float], *, begin: float = 0.0, seconds: float = 60.0, **changes: Any) -> list[dict[str, Any]]:
    """Rows of `rank_samples` of ranks on two hosts, each with its own time of a step."""
    step = max(own.values())
    found = []
    for number in range(int(seconds / 5) + 1):
        for rank, mine in own.items():
            row = {"at": begin + 5.0 * number, "rank": rank, "host": f"node-{rank // 2}", "device": GPU}
            row |= {"source": "nvml", "gpu_util": 90.0 + rank, "gpu_memory_bytes": 61 << 30, "power_watts": 400.0}
            row |= {"process_memory_bytes": 1 << 30, "t_step": step, "t_collective": step - mine}
            found.append(row | changes)
    return found


def test_each_rank_is_a_row_and_the_slow_one_has_a_sign_and_words() -> None:
    look = look_at_ranks(rows({0: 0.1, 1: 0.112, 2: 0.1}))
    assert rank_rows(look) == [
        ["", "0", "node-0", GPU, "90 %", "61 GiB", "400 W", "100 ms", "12.0 ms"],
        ["▲", "1", "node-0", GPU, "91 %", "61 GiB", "400 W", "112 ms", "0 ms"],
        ["", "2", "node-1", GPU, "92 %", "61 GiB", "400 W", "100 ms", "12.0 ms"],
    ]
    assert straggler_words(look) == "▲ rank 1 is slower and the others wait for it: a step takes 12 % longer"


def test_where_none_is_slower_nobody_is_named() -> None:
    look = look_at_ranks(rows({0: 0.1, 1: 0.1}))
    assert straggler_words(look) == ""
    assert [row[0] for row in rank_rows(look)] == ["", ""]
    assert look_at_ranks([]) == RanksLook()


def test_a_processor_tells_the_memory_of_its_process_and_no_power() -> None:
    (first, *_) = rank_rows(look_at_ranks(rows({0: 0.1, 1: 0.1}, source="cpu", power_watts=None)))
    assert first[4:7] == ["90 %", "1 GiB", "–"]


def test_a_rank_that_tells_nothing_any_more_is_said_to_be_silent() -> None:
    silent = [row for row in rows({0: 0.1, 1: 0.1}) if row["rank"] == 0 or row["at"] <= 30]
    assert [row[4] for row in rank_rows(look_at_ranks(silent))] == ["90 %", "silent for 30 s"]
    assert short_rows(look_at_ranks(silent), 60, 2)[1] == "  rank 1  silent for 30 s"


@pytest.mark.parametrize("room", range(12))
def test_few_lines_have_the_slow_rank_first_and_count_the_others(room: int) -> None:
    lines = short_rows(look_at_ranks(rows(dict.fromkeys(range(8), 0.1) | {6: 0.2})), 60, room)
    assert len(lines) <= room
    assert all(len(line) <= 60 for line in lines)
    if room >= 3:
        assert lines[0] == "▲ all wait for rank 6: steps +100 %"
    if 2 <= room < 9:
        assert lines[1].startswith("▲ rank 6  96 % · 200 ms own")
    if 3 <= room < 9:
        assert lines[-1] == f"  and {8 - (room - 2)} ranks more"
    if room >= 9:
        assert [line[7] for line in lines[1:]] == [str(rank) for rank in range(8)]


async def test_the_main_screen_and_the_system_tab_show_every_rank_and_name_the_slow_one(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "two-ranks")
    store.beat(run_id, {"source": "nvml", "gpu_util": 90.0})
    store.put_rank_samples(run_id, rows({0: 0.1, 1: 0.112}))
    store.close()
    words = "▲ rank 1 is slower and the others wait for it: a step takes 12 % longer"
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=(160, 60)) as pilot:
        await wait_for_text(
            pilot, "▲ all wait for rank 1: steps +12 %", "  rank 0  90 % · 100 ms own · 12.0 ms waits", "▲ rank 1  91 %"
        )
        await pilot.press("enter", "7")
        await wait_for_text(pilot, words, f"node-0  {GPU}  90 %  61 GiB  400 W    100 ms")


def test_commands_tell_every_rank_and_the_slow_one(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "two-ranks")
    store.put_rank_samples(run_id, rows({0: 0.1, 1: 0.112}))
    alone = add_run(store, "alone")
    store.close()
    for command in ("system", "show"):
        assert main([command, run_id, "--runs-dir", str(runs)]) == 0
        assert "2 ranks, the last two minutes" in (said := capsys.readouterr().out)
        assert "▲ rank 1 is slower" in said
        assert main([command, run_id, "--json", "--runs-dir", str(runs)]) == 0
        document = json.loads(capsys.readouterr().out)
        assert [one["rank"] for one in document["ranks"]] == [0, 1]
        assert document["straggler"] == {
            "rank": 1,
            "slowdown": pytest.approx(0.12),
            "delay_seconds": pytest.approx(0.012),
        }
        assert main([command, alone, "--json", "--runs-dir", str(runs)]) == 0
        document = json.loads(capsys.readouterr().out)
        assert (document["ranks"], document["straggler"]) == ([], None)
