"""The parts of an epoch as a table, and the two clocks of waiting, in words. Pure; screen and command share it."""

from collections.abc import Mapping, Sequence
from typing import Any

from simclr_tui.format import UNKNOWN, number, percent
from simclr_tui.run.anatomy import MOST_UNEXPLAINED, EpochAnatomy, PartShare
from trainer.parts import AUGMENTATION, UNEXPLAINED
from trainer.store.records import Run
from trainer.stored_settings import settings_of

HEADING = ("part", "seconds", "share", "ms per step", "clock", "")
"""Of the table; the second to the fourth column are numbers."""


def part_rows(anatomy: EpochAnatomy, run: Run) -> list[list[str]]:
    """Each part with its figures, under `HEADING`."""
    return [
        [
            part.name,
            f"{part.seconds:.3f}",
            f"{percent(part.share)} %",
            number(1000 * part.seconds / anatomy.steps) if anatomy.steps else UNKNOWN,
            part.clock,
            part_note(part, run),
        ]
        for part in anatomy.parts
    ]


def part_note(part: PartShare, run: Run) -> str:
    """What has to be said of a part beside its figures."""
    settings = settings_of(run)
    if part.is_sampled:
        return "sampled"
    if part.part == AUGMENTATION and settings.get("augment") == "torchvision":
        return "by the workers, meanwhile" if settings.get("num_workers") else "by the training process, between steps"
    return "▲ 3 % or more" if part.part == UNEXPLAINED and part.share >= MOST_UNEXPLAINED else ""


def waiting(anatomy: EpochAnatomy, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How long the host waited for data and the device between steps: each clock's name with its sentence."""
    t_data, t_idle = row.get("t_data"), row.get("t_idle")
    data = f"{number(1000 * t_data)} ms per step" if t_data is not None else UNKNOWN
    idle = f"{seconds(t_idle)}, {percent(t_idle / anatomy.t_epoch)} % of the epoch" if t_idle is not None else UNKNOWN
    return [
        ("t_data", f"{data} that the host waited for data"),
        ("t_idle", f"{idle}, that the device waited between steps"),
    ]


def remarks(anatomy: EpochAnatomy) -> Sequence[str]:
    """What the figures are made of where that is not the whole epoch, and that too much of it is in no part."""
    found = []
    if anatomy.is_sampled:
        measured = next(part.steps for part in anatomy.parts if part.is_sampled)
        found.append(f"sampled: {measured} of {anatomy.steps} steps were measured part by part, the others as a whole")
    if anatomy.unexplained >= MOST_UNEXPLAINED:
        share = percent(anatomy.unexplained)
        found.append(f"▲ {share} % of the epoch is in no part; docs/anatomy.md says what that can be")
    return found


def seconds(value: float) -> str:
    """Seconds with four digits."""
    return f"{number(value, 4)} s"
