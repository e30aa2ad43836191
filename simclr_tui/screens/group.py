"""The keys that ask the same of every marked run: pause, resume, stop, each after one question that names them."""

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from simclr_tui.screens.mixin import BoardKeys
from simclr_tui.verbs import refusal

if TYPE_CHECKING:
    from simclr_tui.model import RunRow

_CONSEQUENCES = {
    "pause": "Each finishes its step, saves a checkpoint and frees its device; R resumes them.",
    "resume": "Each goes on from its newest checkpoint, all of them at the same time.",
    "stop": "Each finishes its step, saves a checkpoint and frees its device. They count as ended from then on, and "
    "can still be resumed.",
}
_NAMED = 8
"""Runs that a question names; the rest is counted."""


class GroupControls(BoardKeys):
    """Mixed into the main screen, beside the keys that ask something of the cursor's run alone."""

    KEYS: ClassVar[list[BindingType]] = [
        Binding("P", "group('pause')", "pause marked", id="marked.pause", tooltip="Pause every marked run"),
        Binding("R", "group('resume')", "resume marked", id="marked.resume", tooltip="Resume marked runs"),
        Binding("S", "group('stop')", "stop marked", id="marked.stop", tooltip="Stop every marked run"),
    ]

    def action_group(self, verb: str) -> None:
        """Ask once, then do it to every marked run that it can be done to."""
        from simclr_tui.screens.confirm import ConfirmScreen

        marked = self.board.marked_rows
        if not marked:
            self.notify(f"no run is marked; space marks the cursor's run, and then {verb} asks all of them")
            return
        able, refused = sorted_out(verb, marked)
        if not able:
            self.notify("; ".join(refused[:_NAMED]), severity="warning")
            return
        ids = tuple(row.run.id for row in able)

        def do(is_sure: bool | None) -> None:
            if is_sure:
                self.dashboard.do(partial(self.dashboard.actions.group, verb, ids))

        count = "1 run" if len(able) == 1 else f"{len(able)} runs"
        words = [named([row.run.name for row in able]), _CONSEQUENCES[verb]]
        if refused:
            words.append(f"Left alone: {'; '.join(refused[:_NAMED])}.")
        self.app.push_screen(
            ConfirmScreen(f"{verb.capitalize()} {count}?", "\n\n".join(words), yes=verb, no="leave them"), do
        )


def sorted_out(verb: str, rows: "list[RunRow]") -> "tuple[list[RunRow], list[str]]":
    """The runs that a verb can be done to, and why it can't be done to the others."""
    sentences = {row.run.id: refusal(verb, row.run.name, row.state, kind=row.run.kind) for row in rows}
    able = [row for row in rows if sentences[row.run.id] is None]
    return able, [sentence for sentence in sentences.values() if sentence is not None]


def named(names: list[str]) -> str:
    """Names in a row, as many as can be read; the rest is counted."""
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
