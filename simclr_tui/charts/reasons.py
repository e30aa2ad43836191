"""Why a chart shows no curve, in a sentence that names what would bring one. Pure."""

from collections.abc import Sequence

from simclr_tui.charts.drawn import Drawn
from simclr_tui.keys import key
from simclr_tui.model import setting
from simclr_tui.objective import method_of
from trainer.store.records import IMPORTED, SUBMITTED


def no_steps(drawn: Sequence[Drawn]) -> str:
    """Why there is no step."""
    if not drawn:
        return "no run is chosen"
    row = drawn[0].row
    if row.run.kind == "evaluate":
        return "an evaluation takes no steps"
    if row.run.kind == "benchmark":
        return f"a benchmark is no training; {key('b', 'run.benchmark')} shows its trials"
    if row.run.kind == IMPORTED:
        return "the event files have no such value"
    if row.turn is not None:
        return (
            f"held back in line; {key('h', 'line.hold')} releases it"
            if row.turn.is_held
            else "waits in line, and starts by itself"
        )
    if row.run.lifecycle == SUBMITTED:
        return "waits in Slurm's queue, and starts by itself"
    if not drawn[0].curves.is_read:
        return "reading the store"
    if drawn[0].curves.last_step:
        return "no step has such a figure"
    return {
        "queued": f"not started yet; {key('r', 'run.resume')} starts it",
        "starting": "no step yet; the trainer is coming up",
    }.get(row.state, "no step yet" if row.is_live else "no step was taken")


def no_knn(drawn: Sequence[Drawn]) -> str:
    """Why there is no kNN score."""
    if not drawn or drawn[0].row.run.kind in ("evaluate", IMPORTED):
        return no_steps(drawn)
    if not drawn[0].curves.is_read:
        return "reading the store"
    every = setting(drawn[0].row, "knn_every", 1)
    if not every:
        return "no kNN score: it is switched off (--knn-every 0)"
    is_supervised = method_of(drawn[0].row.run) in ("supcon", "cross-entropy")
    if is_supervised and not setting(drawn[0].row, "hold_out", 0.0):
        return "no kNN score: it trains on all labels; --hold-out 0.1 would keep some"
    if drawn[0].curves.epochs and drawn[0].curves.epochs[-1]["epoch"] >= every:
        return "no kNN score: too few labelled train images"
    return f"no kNN score yet; the first comes after epoch {every}"


def no_device(drawn: Sequence[Drawn]) -> str:
    """Why there is no sample of the device."""
    if drawn and drawn[0].row.is_live:
        return "no sample of the device yet"
    return "no sample of the device; one comes every second while a run is live"


def no_epochs(drawn: Sequence[Drawn]) -> str:
    """Why there is no figure of an epoch."""
    if drawn and drawn[0].curves.epochs:
        return "not measured in any epoch so far"
    if drawn and drawn[0].curves.last_step:
        return "no figure yet; the first comes at the end of an epoch"
    return no_steps(drawn)


def no_metric(drawn: Sequence[Drawn]) -> str:
    """Why there is no value of a series that is measured now and then."""
    return "not measured so far" if drawn and drawn[0].curves.last_step else no_steps(drawn)


def no_score(drawn: Sequence[Drawn]) -> str:
    """Why there is no score of an evaluation."""
    return (
        f"no such score yet; {key('e', 'run.evaluate')} evaluates a checkpoint"
        if drawn and drawn[0].curves.last_step
        else no_steps(drawn)
    )
