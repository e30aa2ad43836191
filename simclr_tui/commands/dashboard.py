"""Opening the dashboard."""

import gc
import sys
from pathlib import Path

from trainer.errors import UsageError


def dashboard(runs: Path, *, select: str | None = None) -> int:
    """Show the dashboard until it is closed.

    Args:
        runs: the runs folder.
        select: id of the run that the cursor starts on.

    Raises:
        UsageError: there is no terminal to show it on.
        StoreError: the store can't be used.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the dashboard needs a terminal; without one use `simclr-tui ls`, `show` or `demo`")
    # Modules live as long as the process: looking for garbage among them costs a tenth of the time to the first frame.
    gc.disable()
    from simclr_tui.app import DashboardApp
    from simclr_tui.feed import check_store

    gc.freeze()
    gc.enable()
    check_store(runs)
    app = DashboardApp(runs, select=select)
    sentence = app.run()
    if sentence:
        print(f"simclr-tui: {sentence}", file=sys.stderr)  # noqa: T201
    return app.return_code or 0
