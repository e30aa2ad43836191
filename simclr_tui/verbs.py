"""Which verb makes sense in which state, and the sentence where it doesn't. Pure; screen and commands share it."""

from collections.abc import Sequence

from trainer.state import LIVE_STATES, RESUMABLE_STATES
from trainer.store.records import IMPORTED

_INSTEAD = {
    "queued": "resume starts it",
    "paused": "resume goes on with it",
    "stopped": "resume goes on with it",
    "failed": "its log says why, and resume tries again",
    "interrupted": "resume goes on with it",
    "finished": "evaluate scores it again",
}


_NAMED = 8
"""Runs that a question names; the rest is counted."""

_BEGINNING = ("resume", "fork", "evaluate", "queue")
"""Verbs that let something go on from a run, which has to be here for it."""


def named(names: Sequence[str]) -> str:
    """Names in a row, as many as can be read; the rest is counted."""
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown


def refusal(
    verb: str,
    name: str,
    state: str,
    *,
    is_launched: bool = True,
    kind: str = "pretrain",
    is_trashed: bool = False,
) -> str | None:
    """Why a verb can't be done to a run, with what can be done instead, or None where it can.

    Args:
        verb: pause, stop, resume, fork, evaluate, trash, …
        name: of the run.
        state: of the run.
        kind: of the run.
        is_launched: False for a run that was made and never launched: it is queued as well, but nobody waits.
        is_trashed: whether it is in the trash.
    """
    if is_trashed and verb in _BEGINNING:
        return f"{name} is in the trash; restore it first, with d in its row or `simclr-tui restore`"
    if verb == "trash":
        from trainer.trash import in_use  # here: the first frame needs none of the trash

        return in_use(name, state, is_launched=is_launched)
    if verb in ("pause", "stop"):
        if state in ("pausing", "stopping"):
            end = "the turn that is under way" if kind == "benchmark" else "its step and a checkpoint"
            return f"{name} is {state} already; it ends after {end}"
        if state not in LIVE_STATES and not (state == "queued" and is_launched):
            return f"{name} is {state}, so there is nothing to {verb}; {_instead(state, kind)}"
    if verb == "resume":
        if kind == IMPORTED:
            return f"{name} was imported from event files, which hold no weights to go on from; launch a new run"
        if state in LIVE_STATES:
            return f"{name} is {state} already; there is nothing to resume"
        if state not in RESUMABLE_STATES:
            longer = ", and fork trains it longer" if state == "finished" and kind != "benchmark" else ""
            return f"{name} is {state}, so there is nothing left to resume; {_instead(state, kind)}{longer}"
    return None


def _instead(state: str, kind: str) -> str:
    return "benchmark shows what it found" if (state, kind) == ("finished", "benchmark") else _INSTEAD[state]


def useful(verb: str, state: str | None) -> bool:
    """Whether a verb is worth naming in the footer for a run in that state."""
    if verb in ("pause", "stop"):
        return state == "queued" or (state in LIVE_STATES and state not in ("pausing", "stopping"))
    if verb == "resume":
        return state in RESUMABLE_STATES
    return state is not None
