"""A dashboard's process, whatever becomes of its page."""

import asyncio
from pathlib import Path

import pytest

from simclr_tui.browser.dashboard_process import DashboardProcess, bounded, environment


def test_what_a_page_says_of_its_size_is_bounded() -> None:
    assert [bounded(cells, 80) for cells in ("120", 36, 0, -5, 10**9, "x", None, float("nan"), float("inf"))] == [
        *(120, 36, 1, 1, 1000, 80, 80, 80, 80)
    ]


def test_variables_of_the_terminal_are_left_behind() -> None:
    around = {"TMUX": "x", "STY": "x", "COLORFGBG": "0;15", "TERM_PROGRAM": "kitty", "LINES": "5", "HOME": "/home"}
    assert environment(around, 100, 30) == {
        "HOME": "/home",
        "TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver",
        "TEXTUAL_COLOR_SYSTEM": "truecolor",
        "COLUMNS": "100",
        "ROWS": "30",
    }


@pytest.mark.screens
async def test_one_whose_page_takes_nothing_closes_all_the_same(runs: Path, some_runs: dict[str, str]) -> None:
    taken: list[int] = []

    async def stuck(picture: bytes) -> None:
        taken.append(len(picture))
        if len(taken) > 5:
            await asyncio.Event().wait()

    dashboard = await DashboardProcess.start(runs, 300, 100, stuck)
    while len(taken) <= 5:
        await asyncio.sleep(0.05)
    for width in range(290, 300):
        await dashboard.tell("resize", width=width, height=100)
        await asyncio.sleep(0.1)
    await dashboard.end()
    assert dashboard.exit_code == 0, "by itself and not by a signal"
    assert len(taken) == 6
