"""The energy of a run in words: of its card and the machine's processors, of an epoch, by its end, its price. Pure.

Card and processors are never one figure, since they are not of one thing: the first is of the GPU that the run trains
on, the second of the whole machine. A price is of both together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from simclr_tui.format import energy, energy_unit, number
from simclr_tui.price import Price
from trainer.energy_use import CARD, CPU, Energy, energy_of, rank_count
from trainer.store.records import Run

NOT_MEASURED = "not measured; `simclr-tui doctor` says why"
_NAMES = {CARD: "energy, card", CPU: "energy, CPU"}


def energy_lines(run: Run, rows: Sequence[Mapping[str, Any]], price: Price | None) -> list[tuple[str, str]]:
    """Names with words for whoever asks about one run; nothing of one that has not trained.

    Args:
        run: the run.
        rows: of its `epochs`, in order, the newest at least.
        price: of a kilowatt-hour, if the person has told it.
    """
    if run.step is None and run.energy_joules is None and run.cpu_energy_joules is None:
        return []
    found = {name: energy_of(run, rows, name) for name in ((CPU,) if is_on_cpu(run) else (CARD, CPU))}
    lines = [(_NAMES[name], _words(one, rank_count(run) if name == CARD else 1)) for name, one in found.items()]
    bill = _bill(list(found.values()), price)
    return [*lines, ("electricity", bill)] if bill else lines


def is_on_cpu(run: Run) -> bool:
    """Whether a run trains on the processors, so that there is no card to speak of."""
    return run.energy_joules is None and (run.device or "").startswith("CPU")


def _words(found: Energy, ranks: int) -> str:
    if found.so_far is None:
        return NOT_MEASURED
    is_over = found.at_end is not None and found.at_end <= found.so_far
    words = [energy(found.so_far) + ("" if is_over else " so far")]
    words += [f"{energy(found.epoch)} an epoch"] if found.epoch is not None else []
    words += [f"about {energy(found.at_end)} by its end"] if found.at_end is not None and not is_over else []
    words += ["estimated from its power"] if found.is_estimated else []
    words += [f"the first of {ranks} cards alone"] if ranks > 1 else []
    return ", ".join(words)


def _bill(found: Sequence[Energy], price: Price | None) -> str:
    so_far, at_end = _of_both(found)
    if price is None or so_far is None:
        return ""
    is_over = at_end is not None and at_end <= so_far
    words = [price.show(price.of(so_far)) + ("" if is_over else " so far")]
    if at_end is not None and not is_over:
        words.append(f"about {price.show(price.of(at_end))} by its end")
    return ", ".join([*words, f"at {price.words}"])


def _of_both(found: Sequence[Energy]) -> tuple[float | None, float | None]:
    """Joules of everything that is measured, so far and by the end of the run; None where any of that is not known."""
    known = [one.so_far for one in found if one.so_far is not None]
    ends = [one.at_end for one in found if one.so_far is not None and one.at_end is not None]
    return sum(known) if known else None, sum(ends) if ends and len(ends) == len(known) else None


def energy_document(run: Run, rows: Sequence[Mapping[str, Any]], price: Price | None) -> dict[str, Any]:
    """The same for scripts, in joules; null is not measured, or not known yet."""
    found = {"card": energy_of(run, rows, CARD), "cpu": energy_of(run, rows, CPU)}
    document: dict[str, Any] = {name: asdict(one) for name, one in found.items()}
    so_far, at_end = _of_both(list(found.values()))
    document["price"] = None if price is None else {"per_kwh": price.per_kwh, "currency": price.currency}
    document["cost"] = price.of(so_far) if price is not None and so_far is not None else None
    document["cost_at_end"] = price.of(at_end) if price is not None and at_end is not None else None
    return document


def device_words(run: Run, rows: Sequence[Mapping[str, Any]]) -> str:
    """What the device of a run took of what it will take, for a narrow place; nothing where that is not measured."""
    found = energy_of(run, rows, CPU if is_on_cpu(run) else CARD)
    if found.so_far is None:
        return ""
    about = "≈ " if found.is_estimated else ""
    if found.at_end is None or found.at_end <= found.so_far:
        return about + energy(found.so_far)
    unit, _ = energy_unit(found.at_end)
    return f"{about}{number(found.so_far / unit)} of ≈ {energy(found.at_end)}"
