"""The keys of runs that wait for a device: into the line, sooner, later, held back, released."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from simclr_tui.format import size
from simclr_tui.keys import key
from simclr_tui.screens.group import CONSEQUENCES, confirm, do_to_own, sorted_out
from simclr_tui.screens.mixin import BoardKeys
from trainer.devices import describe

if TYPE_CHECKING:
    from simclr_tui.model import RunRow
    from trainer.devices import Gpu


_VERBS = {"up": "pass", "down": "move", "hold": "hold", "release": "release"}


class LineControls(BoardKeys):
    """Mixed into the main screen."""

    KEYS: ClassVar[list[BindingType]] = [
        Binding("Q", "line_up", "queue", id="line.join", tooltip="Put marked runs or this one in line"),
        Binding("less_than_sign", "line('up')", "sooner", id="line.up", tooltip="One place up in the line"),
        Binding("greater_than_sign", "line('down')", "later", id="line.down", tooltip="One place down in the line"),
        Binding("h", "line('hold')", "hold", id="line.hold", tooltip="Let others pass, or take the turn again"),
        Binding("W", "line_device", "device", show=False, id="line.device", tooltip="Let a waiting run wait elsewhere"),
    ]

    def action_line_up(self) -> None:
        """Put the marked runs, or the cursor's where none is marked, at the end of their device's line."""
        cursor = self.board.cursor
        chosen = self.board.marked_rows or ([cursor] if cursor is not None else [])
        # One that waits already keeps its place; the question is not worth asking.
        able, refused = sorted_out("resume", [row for row in chosen if row.turn is None])
        if not able:
            moves = f"{key('<', 'line.up')} and {key('>', 'line.down')} move it"
            words = refused or [f"{row.run.name} waits already; {moves}" for row in chosen]
            none = f"there is no run to queue; {key('n', 'runs.new')} makes one"
            self.notify("; ".join(words) or none, severity="warning")
            return
        in_order = sorted(able, key=lambda row: row.place)
        act = partial(self.dashboard.actions.group, "queue", [row.run.id for row in in_order])
        if not self.board.marked_rows:
            do_to_own(self.dashboard, "queue", in_order, act)
            return
        confirm(self.dashboard, "queue", in_order, CONSEQUENCES["queue"], act, refused=refused)

    def action_line(self, action: str) -> None:
        """Move the cursor's run in its line; `hold` holds it back, or releases it where it is held."""
        row = self._waiting()
        if row is None or row.turn is None:
            return
        if action == "hold" and row.turn.is_held:
            action = "release"
        before = (row.turn.device, row.turn.place - 1)
        passed = [one for one in self.board.rows if one.turn and (one.turn.device, one.turn.place) == before]
        act = partial(self.dashboard.actions.change_line, row.run.id, action)
        changed = [row, *passed] if action == "up" else [row]
        do_to_own(self.dashboard, _VERBS[action], changed, act, or_runner=True)

    def action_line_device(self) -> None:
        """Ask for which device the cursor's run shall wait, and let it."""
        row = self._waiting()
        if row is not None and row.turn is not None:
            asked = self._ask_device(row, row.turn.device)
            self.run_worker(asked, group="line-device", exclusive=True, exit_on_error=False)

    async def _ask_device(self, row: "RunRow", device: str) -> None:
        """Look which devices there are, in a thread since the driver may take its time, and ask."""
        from simclr_tui.screens.pick import Item, PickScreen
        from trainer.devices import gpus

        there = await asyncio.to_thread(gpus)
        items = [Item(setting, words, detail) for setting, words, detail in device_choices(there)]

        def send(chosen: list[str] | None) -> None:
            if chosen:
                act = partial(self.dashboard.actions.redirect, row.run.id, chosen[0])
                do_to_own(self.dashboard, "move", [row], act, or_runner=True)

        chosen = [item.id for item in items if item.text == device]
        self.app.push_screen(PickScreen(f"Where {row.run.name} waits", items, chosen), send)

    def _waiting(self) -> "RunRow | None":
        """The cursor's run if it waits in a line; else a sentence, and None."""
        row = self.board.cursor
        if row is not None and row.turn is not None:
            return row
        if row is None:
            self.notify(f"there is no run to wait; {key('n', 'runs.new')} makes one", severity="warning")
        else:
            puts = f"{key('Q', 'line.join')} puts a run that has ended in one"
            self.notify(f"{row.run.name} waits in no line; {puts}", severity="warning")
        return None


def device_choices(there: "Sequence[Gpu]") -> list[tuple[str, str, str]]:
    """Where a run can wait on a machine with these GPUs: the setting, what people call it, and what is to be known."""
    found = [("next", "the next free GPU", "whichever is free first")] if there else []
    for number, gpu in enumerate(there):
        users = f"{gpu.processes} processes compute on it" if gpu.processes != 1 else "1 process computes on it"
        free = f"{size(gpu.free_bytes)} free, {users}"
        found.append((f"cuda:{number}", describe(gpu.uuid, there), free))
    return [*found, ("cpu", "the CPU", "")]
