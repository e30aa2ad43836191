"""The keys that ask the same of every marked run: pause, resume, stop, each after one question that names them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from simclr_tui.keys import key
from simclr_tui.screens.mixin import BoardKeys
from simclr_tui.verbs import named, refusal
from trainer.people import is_anothers, named_with_owner, owner_name

if TYPE_CHECKING:
    from simclr_tui.app import DashboardApp
    from simclr_tui.model import RunRow

CONSEQUENCES = {
    "pause": "Each finishes its step, saves a checkpoint and frees its device; R resumes them.",
    "resume": "Each goes on from its newest checkpoint, all of them at the same time.",
    "stop": "Each finishes its step, saves a checkpoint and frees its device. They count as ended from then on, and "
    "can still be resumed.",
    "queue": "Each waits for its device behind those that wait already, the oldest first, and starts by itself.",
}
"""What follows from asking several runs for something."""

_MOST_SENTENCES = 8


class GroupControls(BoardKeys):
    """Mixed into the main screen, beside the keys that ask something of the cursor's run alone."""

    KEYS: ClassVar[list[BindingType]] = [
        Binding("P", "group('pause')", "pause marked", id="marked.pause", tooltip="Pause every marked run"),
        Binding("R", "group('resume')", "resume marked", id="marked.resume", tooltip="Resume marked runs"),
        Binding("S", "group('stop')", "stop marked", id="marked.stop", tooltip="Stop every marked run"),
    ]

    def action_group(self, verb: str) -> None:
        """Ask once, then do it to every marked run that it can be done to."""
        marked = self.board.marked_rows
        if not marked:
            keys = {
                "pause": key("P", "marked.pause"),
                "resume": key("R", "marked.resume"),
                "stop": key("S", "marked.stop"),
            }
            marks, does = key("space", "run.mark"), keys[verb]
            self.notify(f"no run is marked; {marks} marks the cursor's run, and then {does} {verb}s all that are")
            return
        able, refused = sorted_out(verb, marked)
        if not able:
            self.notify("; ".join(refused[:_MOST_SENTENCES]), severity="warning")
            return
        act = partial(self.dashboard.actions.group, verb, tuple(row.run.id for row in able))
        confirm(self.dashboard, verb, able, CONSEQUENCES[verb], act, refused=refused)


def confirm(
    dashboard: "DashboardApp",
    verb: str,
    rows: "Sequence[RunRow]",
    consequence: str,
    act: Callable[[], object],
    *,
    refused: Sequence[str] = (),
) -> None:
    """Do something to several runs after one question that names them.

    Args:
        dashboard: the app.
        verb: what is done, as the answer says it.
        rows: the runs.
        consequence: what follows from it.
        act: does it, in a thread.
        refused: why it can't be done to others that were marked.
    """
    from simclr_tui.screens.confirm import ConfirmScreen

    count = "1 run" if len(rows) == 1 else f"{len(rows)} runs"
    words = [named([row.run.name for row in rows]), consequence]
    others = [named_with_owner(row.run) for row in rows if is_anothers(row.run)]
    if others:
        words.append(f"Not yours: {named(others)}.")
    if refused:
        words.append(f"Left alone: {'; '.join(refused[:_MOST_SENTENCES])}.")

    def do(is_sure: bool | None) -> None:
        if is_sure:
            dashboard.do(act)

    screen = ConfirmScreen(f"{verb.capitalize()} {count}?", "\n\n".join(words), yes=verb, no="leave them")
    dashboard.push_screen(screen, do)


def do_to_own(
    dashboard: "DashboardApp",
    verb: str,
    rows: "Sequence[RunRow]",
    act: Callable[[], object],
    *,
    what: str = "",
    or_runner: bool = False,
) -> None:
    """Do something to runs at once, and after a question where it is another person's that one of them is.

    Args:
        dashboard: the app.
        verb: what is done, as the answer says it.
        rows: the runs that it changes something for.
        act: does it, in a thread.
        what: of the runs is changed, ending with a blank; nothing for the runs themselves.
        or_runner: whether runs that this user last started are their own as well.
    """
    from simclr_tui.screens.confirm import ConfirmScreen

    others = [row.run for row in rows if is_anothers(row.run, or_runner=or_runner)]
    if not others:
        dashboard.do(act)
        return
    names = named([named_with_owner(run) for run in others])
    people = named(sorted({owner_name(run) for run in others}))

    def do(is_sure: bool | None) -> None:
        if is_sure:
            dashboard.do(act)

    consequence = f"{'It is' if len(others) == 1 else 'They are'} not yours. Where in doubt, ask {people} first."
    dashboard.push_screen(
        ConfirmScreen(f"{verb.capitalize()} {what}{names}?", consequence, yes=verb, no="leave it"), do
    )


def refusal_of(verb: str, row: "RunRow") -> str | None:
    """Why a verb can't be done to a run of the list, or None where it can."""
    run, is_trashed = row.run, row.labels.trashed_at is not None
    is_launched = run.lifecycle != "created"
    return refusal(verb, run.name, row.state, is_launched=is_launched, kind=run.kind, is_trashed=is_trashed)


def sorted_out(verb: str, rows: "list[RunRow]") -> "tuple[list[RunRow], list[str]]":
    """The runs that a verb can be done to, and why it can't be done to the others."""
    sentences = {row.run.id: refusal_of(verb, row) for row in rows}
    able = [row for row in rows if sentences[row.run.id] is None]
    return able, [sentence for sentence in sentences.values() if sentence is not None]
