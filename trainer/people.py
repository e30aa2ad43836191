"""Whose run it is: the person who made it, and the one whose process works on it.

Whoever may write a store may ask anything of any run in it; nothing here keeps a person from that who means it. It
keeps one from ending another's day of training by a key that was meant for the run above.
"""

import os

from trainer.errors import UsageError
from trainer.sharing import user_name
from trainer.store.records import Run


def is_anothers(run: Run, *, or_runner: bool = False) -> bool:
    """Whether a run is somebody else's than this process's user; one of which nobody noted who made it is anybody's.

    Args:
        run: the row.
        or_runner: whether it is also this user's who last started its trainer, as for ending that.
    """
    uid = os.geteuid()
    return run.owner_uid not in (None, uid) and not (or_runner and run.runner_uid == uid)


def was_run_by_me(run: Run) -> bool:
    """Whether it was this user who last started a run's trainer; of one that never had any, who made it."""
    last = run.owner_uid if run.runner_uid is None else run.runner_uid
    return last in (None, os.geteuid())


def owner_name(run: Run) -> str:
    """Who made a run; empty where nobody noted it."""
    return run.owner or ("" if run.owner_uid is None else str(run.owner_uid))


def is_of(run: Run, owner: str) -> bool:
    """Whether a run is that of the user with this name or number."""
    return owner in (owner_name(run), str(run.owner_uid))


def people_words(run: Run) -> str:
    """Who made a run, and who runs it where that is somebody else: `anna, run by lars`; empty where nobody noted it."""
    name = owner_name(run)
    if not run.runner or run.runner_uid == run.owner_uid:
        return name
    return f"{name}, run by {run.runner}" if name else f"run by {run.runner}"


def by_whom(run: Run) -> str:
    """` by lars`, for what becomes of a run that is not this user's; else nothing."""
    return f" by {user_name(os.geteuid())}" if is_anothers(run) else ""


def named_with_owner(run: Run) -> str:
    """The name of a run, with whose it is where it is another's: `anna's run first`."""
    return f"{owner_name(run)}'s run {run.name}" if is_anothers(run) else run.name


def refuse_anothers(run: Run, owner: str | None, *, or_runner: bool = False) -> None:
    """See that a run is this user's own, or that whose it is was said.

    Args:
        run: the row.
        owner: what was given as --owner.
        or_runner: as `is_anothers` has it.

    Raises:
        UsageError: it is another's, or the owner that was given is not its.
    """
    name = owner_name(run)
    if owner is not None and not is_of(run, owner):
        whose = f"is {name}'s run" if name else "is a run of which nobody noted who made it"
        raise UsageError(f"--owner: {run.name} {whose}; give that name, or leave --owner out for runs of your own")
    if owner is None and is_anothers(run, or_runner=or_runner):
        raise UsageError(f"{run.name} is {name}'s run, not yours; add `--owner {name}` if you mean it")
