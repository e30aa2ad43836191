"""Mounting many widgets without keeping everybody else waiting."""

import asyncio
from collections.abc import Sequence

from textual.widget import Widget

AT_ONCE = 3
"""Rows of a form that are made before others have their turn; each takes some milliseconds with its layout."""


async def mount_piecemeal(parent: Widget, widgets: Sequence[Widget], *, at_once: int = AT_ONCE) -> None:
    """Put widgets into another one in their order, a few at a time; ends early where that one is gone."""
    for first in range(0, len(widgets), at_once):
        if not parent.is_attached:
            return
        await parent.mount(*widgets[first : first + at_once])
        await asyncio.sleep(0)
