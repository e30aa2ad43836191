"""Opening the dashboard."""

import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.errors import UsageError

if TYPE_CHECKING:
    from simclr_tui.app import DashboardApp

_PATIENCE = 0.2
"""Seconds after the question until which a terminal's answer is waited for; making everything ready takes longer."""

_WEB_DRIVER = "textual.drivers.web_driver:"
"""Begins what a server of pages sets: that of `simclr-tui serve`, and Textual's own."""


def dashboard(runs: Path, *, select: str | None = None) -> int:
    """Show the dashboard until it is closed.

    Args:
        runs: the runs folder.
        select: id of the run that the cursor starts on.

    Raises:
        UsageError: there is no terminal to show it on, or the settings file is wrong.
        StoreError: the store can't be used.
    """
    if os.environ.get("TEXTUAL_DRIVER", "").startswith(_WEB_DRIVER):
        return _dashboard_in_browser(runs, select)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the dashboard needs a terminal; without one use `simclr-tui ls`, `show` or `demo`")
    from simclr_tui.terminal.question import TerminalQuestion

    # Modules live as long as the process: looking for garbage among them costs a tenth of the time to the first frame.
    gc.disable()
    with TerminalQuestion(os.environ) as question:
        from simclr_tui.app import DashboardApp
        from simclr_tui.comfort.user_settings import read_settings
        from simclr_tui.feed import check_store
        from simclr_tui.terminal.driver import PatientDriver

        gc.freeze()
        gc.enable()
        settings = read_settings()
        check_store(runs)
        question.take(_PATIENCE)
    PatientDriver.answers_are_awaited, PatientDriver.came_before = question.is_open, question.came
    app = DashboardApp(
        runs, select=select, settings=settings, is_dark=question.is_dark, driver_class=PatientDriver, watch_css=False
    )
    return _shown(app)


def _dashboard_in_browser(runs: Path, select: str | None) -> int:
    """Show it to the server that started this process, which asks nothing and is no terminal."""
    from simclr_tui.app import DashboardApp
    from simclr_tui.comfort.user_settings import read_settings
    from simclr_tui.feed import check_store
    from simclr_tui.terminal.browser_driver import BrowserDriver

    settings = read_settings()
    check_store(runs)
    return _shown(DashboardApp(runs, select=select, settings=settings, driver_class=BrowserDriver, watch_css=False))


def _shown(app: "DashboardApp") -> int:
    from simclr_tui.leaving import run_app

    sentence = run_app(app)
    if sentence:
        print(f"simclr-tui: {sentence}", file=sys.stderr)  # noqa: T201
    return app.return_code or 0
