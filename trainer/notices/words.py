"""What a notice says: the run and what became of it, why, its figures, and the command that goes on."""

import shlex
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from trainer.notices.delivery import Message
from trainer.notices.happenings import END, STILL, WAITS, Happening, Look
from trainer.report import duration
from trainer.store.records import TRAINED_KINDS, Evaluation, Run
from trainer.supervise import TRACEBACK_NOTE

_LONGEST_TITLE, _LONGEST_SENTENCE = 80, 400
_FULL_BYTES = 1 << 30
"""Free space below which it is named as what a waiting run waits for."""

_LAST = {
    True: "Further notices of this hour are left out; the dashboard has the rest.",
    False: "Further warnings of this hour are left out; the dashboard has the rest.",
}

_NAMED_LAYERS = ("h", "z")


def compose(
    happening: Happening, look: Look, runs: Path, *, evaluations: Sequence[Evaluation] = (), left: int | None = None
) -> Message:
    """The message of a happening.

    Args:
        happening: what is told.
        look: at its run.
        runs: the runs folder.
        evaluations: figures that the run itself made, where it evaluates another one.
        left: notices that may still be sent within the hour, where that is known.
    """
    lines = [
        _why(happening, runs),
        _result(look, evaluations) if happening.kind == "finished" else "",
        _figures(look.run),
        _command(happening, look.run, runs),
        _LAST[happening.label == END] if left == 0 else "",
    ]
    return Message(
        kind=happening.kind,
        title=one_line(f"{look.run.name} {happening.what}", _LONGEST_TITLE),
        body="\n".join(line for line in lines if line),
    )


def one_line(text: str, longest: int) -> str:
    """A text without line breaks and characters that can't be shown, shortened at its end."""
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return plain if len(plain) <= longest else plain[: longest - 1].rstrip() + "…"


def _why(happening: Happening, runs: Path) -> str:
    why = happening.why.removesuffix(f"; {TRACEBACK_NOTE}")
    if happening.label == WAITS:
        try:
            free = shutil.disk_usage(runs).free
        except OSError:  # the folder is gone, and nothing is known of its disk
            free = _FULL_BYTES
        full = f"the disk of {runs} has {free / 1e6:,.0f} MB left; training goes on once there is space"
        why = full if free < _FULL_BYTES else "its log says for what; training goes on by itself then"
    if happening.label == STILL:
        why = "its watchdog ends it if that goes on; its log will say where it hangs"
    sentence = one_line(why, _LONGEST_SENTENCE)
    return sentence[:1].upper() + sentence[1:] + ("" if sentence.endswith((".", "…")) else ".") if sentence else ""


def _result(look: Look, evaluations: Sequence[Evaluation]) -> str:
    """What a job found: the verdict of a benchmark, the accuracies of an evaluation."""
    if look.run.kind == "benchmark":
        verdict = [event.message for event in look.events if event.kind == "verdict"]
        return one_line(verdict[-1], _LONGEST_SENTENCE) if verdict else ""
    whole = [row for row in evaluations if row.labels_per_class == 0 and row.top1 is not None]
    parts = [
        f"{row.layer} {row.protocol} {100 * row.top1:.1f} %"
        for row in sorted(whole, key=lambda row: (row.layer, row.protocol))
        if row.layer in _NAMED_LAYERS and row.top1 is not None
    ]
    return ", ".join(parts)


def _figures(run: Run) -> str:
    """How far it is and how good, and where."""
    parts = []
    if run.kind in TRAINED_KINDS:
        if run.epoch is not None:
            epochs = run.total_steps // run.steps_per_epoch if run.total_steps and run.steps_per_epoch else None
            parts.append(f"epoch {run.epoch}" + (f" of {epochs}" if epochs else ""))
        if run.loss is not None:
            parts.append(f"loss {run.loss:.3f}")
        if run.knn_top1 is not None:
            parts.append(f"kNN {100 * run.knn_top1:.1f} %")
        if run.trained_seconds:
            parts.append(f"{duration(run.trained_seconds)} trained")
    parts.append(f"on {socket.gethostname()}")
    text = " · ".join(parts)
    return text[:1].upper() + text[1:]


def _command(happening: Happening, run: Run, runs: Path) -> str:
    """What a person would type next."""
    verb = "log" if happening.label != END else "show" if happening.kind == "finished" else "resume"
    return f"simclr-tui --runs-dir {shlex.quote(str(runs))} {verb} {run.id}"
