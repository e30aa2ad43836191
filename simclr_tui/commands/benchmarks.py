"""A benchmark as `benchmark` and `show` print it: tables, what did not work, the verdict and what to do with it."""

import shutil
import sys
import textwrap
import time
from collections.abc import Sequence

from simclr_tui.commands.output import say, section
from simclr_tui.lab.bench import Bench
from simclr_tui.lab.offer import Offer, offer, refuse_apply
from simclr_tui.lab.table import MACHINE, NOTES, SPEED, Column, fitted
from simclr_tui.lab.words import NOTES_REMARK, status_words, steps_words, troubles
from trainer.errors import TrainerError
from trainer.options import show
from trainer.state import run_state
from trainer.store.reader import StoreReader
from trainer.store.records import TRAINED_KINDS, Run

_USUAL_WIDTH = 120
"""Where the output is no terminal."""


def say_bench(reader: StoreReader, bench: Bench, state: str) -> None:
    """Print everything that is known of a benchmark."""
    say(f"{bench.run.name} ({bench.run.id}): {status_words(bench, state, time.time())}")
    if bench.failure:
        _say_wrapped([f"✗ {bench.failure}; `simclr-tui resume {bench.run.id}` tries again"])
    if bench.machine:
        _say_wrapped([bench.machine])
    if any(line.result for line in bench.lines):
        _say_tables(bench)
    words = troubles(bench)
    if words:
        section("not measured, or not counted", [line for one in words for line in _wrapped(one)])
    section("verdict" if bench.verdict.is_final else "so far", _wrapped(bench.said))
    _say_what_to_do(reader, bench)


def _say_tables(bench: Bench) -> None:
    """Every figure."""
    _table("how fast", SPEED, bench, [steps_words(bench), _legend(bench)])
    _table(
        "what it took", MACHINE, bench, ["Waits are the device's, between steps; spread is half that of the quartiles."]
    )
    if bench.config.preset == "notes":
        _table("beside the notes' own figures, epoch 1 / n", NOTES, bench, [NOTES_REMARK])


def _table(title: str, columns: Sequence[Column], bench: Bench, notes: Sequence[str]) -> None:
    """A table that always says its scale, with what has to be known to read it."""
    words = [one for one in (bench.scale_words, *notes) if one]
    section(title, [*fitted(columns, bench, width() - 2), *(line for one in words for line in _wrapped(one))])


def _say_what_to_do(reader: StoreReader, bench: Bench) -> None:
    """How the winner is applied, and the command that makes a fork of the rest."""
    of = next((run for run in reader.runs() if run.id == bench.config.of and run.kind in TRAINED_KINDS), None)
    found = _offered(bench, of) if of else None
    lines = []
    if bench.apply and (found is None or found.values):
        can_apply = of is not None and refuse_apply(of, run_state(of, reader.runs_path)) is None
        lines.append(f"simclr-tui benchmark {bench.run.id} --apply {of.id if of and can_apply else 'RUN'}")
    fork = found.fork if found else ""
    if of is None and bench.fork:
        words = " ".join(f"--{key.replace('_', '-')} {show(value)}" for key, value in bench.fork.items())
        fork = f"simclr-tui fork RUN {words}"
    if fork:
        lines.append(f"{fork}  (another experiment: its results may differ)")
    if lines:
        section("what to do with it", lines)


def _offered(bench: Bench, run: Run) -> Offer | None:
    """What there is for the run that was benchmarked; None where its other settings forbid it."""
    try:
        return offer(bench, run)
    except TrainerError:
        return None


def width() -> int:
    """Cells of a line: the terminal's, else what a wide one has."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _USUAL_WIDTH


def _say_wrapped(texts: Sequence[str]) -> None:
    for text in texts:
        for line in _wrapped(text):
            say(line)


def _wrapped(text: str) -> list[str]:
    """A text in lines; scripts get it whole."""
    if not sys.stdout.isatty():
        return [text]
    return textwrap.wrap(text, max(20, width() - 2), break_long_words=False) or [""]


def _legend(bench: Bench) -> str:
    reference = bench.current.reference if bench.current else "the current settings"
    return f"★ fastest, ○ {reference}; below 1 is faster."
