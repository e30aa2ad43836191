"""The window of versions and paths."""

import sqlite3
from importlib.metadata import version
from pathlib import Path

from simclr_tui.app import DashboardApp
from simclr_tui.screens.about import AboutScreen, about
from tests.simclr_tui.support import wait_for_text, wait_until


async def test_i_shows_versions_paths_and_the_health_of_sqlite(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "resting")
        await pilot.press("i")
        await wait_for_text(
            pilot, "about", f"SQLite        {sqlite3.sqlite_version}", version("torch"), "simclr-tui doctor"
        )
        await pilot.press("escape")
        await wait_until(pilot, lambda: not isinstance(app.screen, AboutScreen))


def test_a_folder_without_a_store_is_no_mistake(tmp_path: Path) -> None:
    text = about(tmp_path / "nowhere").plain
    assert f"runs folder   {tmp_path / 'nowhere'}" in text
    assert "store         –, and – not yet copied into it" in text
