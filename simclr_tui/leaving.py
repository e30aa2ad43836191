"""Closing the dashboard while something that was asked for is still under way."""

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from trainer.errors import ExitCode

if TYPE_CHECKING:
    from simclr_tui.app import DashboardApp


def run_app(app: "DashboardApp") -> str | None:
    """Show the dashboard until it is closed; the sentence with which it had to give up, if any.

    What waits for a run to pause ends in its own time: the terminal is given back with a line on what it waits for.
    """
    try:
        return asyncio.run(_shown(app))  # ends once every thread has
    except KeyboardInterrupt:
        if not app.actions.under_way:
            raise
        os._exit(ExitCode.SIGINT)  # the thread would be waited for otherwise; what it wrote is committed


async def _shown(app: "DashboardApp") -> str | None:
    sentence = await app.run_async()
    for words in app.actions.under_way:
        print(f"simclr-tui: {leaving_words(words)}", file=sys.stderr)  # noqa: T201
    return sentence


def leaving_words(words: str) -> str:
    """What is said of something that is under way."""
    return f"{words}; the prompt comes back once that is done, and Ctrl-C leaves it undone"
