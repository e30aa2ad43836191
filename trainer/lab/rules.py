"""The verdict's sentences, each a rule of docs/laboratory.md.

No rule knows which way is fast: each compares what was measured and says it.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from trainer.changes import shown
from trainer.config import PretrainConfig
from trainer.lab.fit import Room, binary, of_free
from trainer.lab.meaning import VARIED
from trainer.lab.measured import COUNTS, Measured
from trainer.lab.results import Result
from trainer.lab.statistics import Interval
from trainer.lab.words import compared, gain, listed
from trainer.settings import fields_of

WIDE = 0.10
"""An interval that includes 1 and reaches this far from it leaves open whether a number of workers is enough."""
STARVED = 0.10
"""Part of the epoch, waited for data, from which on the loader is said to starve the device."""
_OF_WAITING = 0.5
"""Part of the device's waiting that the host's wait for data must explain, for it to be the loader's."""
_MORE_MEMORY = 1.05
_SWITCHES = (
    (("persistent_workers", "pin_memory"), "persistent and pinned", "neither"),
    (("persistent_workers",), "persistent", "not persistent"),
    (("pin_memory",), "pinned", "not pinned"),
)
_TOLD_APART = frozenset(name for names, _, _ in _SWITCHES for name in names) | {"num_workers"}
"""Settings that have a rule of their own."""


def fastest(found: Measured) -> str:
    """The fastest trial against the current one."""
    best, current, count = found.fastest, found.current, len(found.results)
    today = found.today
    if current is None:
        return f"The fastest of {count} is {best.name}; the current settings could not be compared with it."
    others = [result for result in found.results if result is not current]
    if not others:
        return f"There is nothing to compare {today} ({current.name}) with."
    intervals = {other.number: interval for other in others if (interval := found.ratio(other, current)) is not None}
    if intervals and all(interval.includes_one for interval in intervals.values()):
        low, high = min(i.low for i in intervals.values()), max(i.high for i in intervals.values())
        them = "the other trial" if len(others) == 1 else f"any of the {len(others)} other trials"
        return f"Between {today} ({current.name}) and {them} there is no difference found ({low:.2f}–{high:.2f})."
    if best is not current and found.is_faster(best, current):
        words = compared(intervals[best.number])
        than = "as" if words.endswith("as fast") else "than"
        return f"The fastest of {count} is {best.name}: {words} {than} {today} ({current.name})."
    nearest = others[0]
    words = compared(intervals[nearest.number]) if nearest.number in intervals else "with too few rounds in common"
    return f"No trial of {count} is faster than {today} ({current.name}); the nearest is {nearest.name}, {words}."


def workers(found: Measured) -> str:
    """The smallest number of workers that is not slower than the fastest number; empty where one alone was tried."""
    line = found.line("num_workers")
    if not line:
        return ""
    quickest = next(result for result in found.results if result in line.values())
    intervals = {number: found.ratio(result, quickest) for number, result in line.items() if result is not quickest}
    able = [n for n, result in line.items() if result is quickest or not _is_slower(intervals[n])]
    enough = min(able)
    others = {n: found.ratio(result, line[enough]) for n, result in sorted(line.items()) if n != enough}
    open_ = intervals.get(enough)
    noun = "worker is" if enough == 1 else "workers are"
    if enough == max(line):
        head = f"{enough} {noun} the fastest number tried"
    elif open_ is not None and open_.high > 1 + WIDE:
        head = f"{enough} {noun} perhaps enough"
    else:
        head = f"{enough} {noun} enough" if enough else "No workers are needed"
    beside = found.beside(line[enough], "num_workers")
    head = f"With {beside}: {head[:1].lower() + head[1:]}" if beside else head
    return f"{head} ({', '.join(_against_enough(others))})."


def switches(found: Measured) -> list[str]:
    """What persistent workers and page-locked memory do, by number of workers."""
    sentences = []
    for names, on, off in _SWITCHES:
        by_outcome: dict[tuple[bool, str], list[tuple[int, Interval]]] = defaultdict(list)
        for number, interval in sorted(_pairs(found, frozenset(names)).items()):
            outcome = "same" if interval.includes_one else "slower" if interval.low > 1 else "faster"
            by_outcome[number > 0, outcome].append((number, interval))
        for group in by_outcome.values():
            hull = _hull([interval for _, interval in group])
            sentences.append(f"{_with_workers([number for number, _ in group])}, {_verdict_of(on, off, hull)}.")
    return sentences


def others(found: Measured) -> list[str]:
    """What each other varied setting does by itself, against its current value."""
    sentences = []
    for name in VARIED:
        line = {} if name in _TOLD_APART else found.line(name)
        if not line:
            continue
        today = found.meanings[found.current.number].get(name) if found.current else None
        quickest = next(value for result in found.results for value, own in line.items() if own is result)
        reference = today if today in line else quickest
        intervals = {value: found.ratio(result, line[reference]) for value, result in line.items()}
        clauses = [_clause(value, i) for value, i in intervals.items() if value != reference and i is not None]
        if clauses:
            sentences.append(f"Against {name}={shown(reference)}, {listed(clauses)}.")
    return sentences


def starvation(result: Result, config: PretrainConfig, *, on_cuda: bool) -> str:
    """Whether the device waits for data in a trial; empty where that was not measured.

    Args:
        result: of the trial.
        config: its settings.
        on_cuda: whether it ran on a CUDA device, whose waiting is not the host's.
    """
    waits, speed = result.median("t_data_next"), result.median("images_per_second")
    host = min(1.0, waits * speed / config.batch_size) if waits is not None and speed else None
    idle = result.median("idle")
    milliseconds = "" if waits is None else f"; the host waits {1000 * waits:.1f} ms a step for a batch"
    if not on_cuda:
        share = idle if idle is not None else host
        if share is None:
            return ""
        who = "the loader starves the training: it" if share >= STARVED else "the training"
        return f"With {result.name}, {who} waits for data {_share(share)} of the time{milliseconds}."
    if idle is None:
        return ""
    if idle < STARVED:
        return f"With {result.name}, the device waits for data at most {_share(idle)} of the time."
    if host is not None and host >= _OF_WAITING * idle:
        return (
            f"With {result.name}, the loader starves the device: it waits for data {_share(idle)} of the time"
            f"{milliseconds}."
        )
    return (
        f"With {result.name}, the device waits {_share(idle)} of the time, but not for data{milliseconds}: the host "
        "launches too slowly."
    )


def next_gain(found: Measured, room: Room | None) -> str:
    """The largest gain over the current settings that one setting brings, and what it takes; empty where there is none.

    Where no single setting is known to bring one, it is that of the fastest trial.
    """
    current = found.current
    if current is None:
        return ""
    faster = [result for result in found.results if found.is_gain(result, current)]
    one = [result for result in faster if len(found.apart(result, current)) == 1]
    if not faster:
        return ""
    chosen = (one or faster)[0]
    interval = found.ratio(chosen, current)
    assert interval is not None
    names = found.apart(chosen, current)
    changes = {name: getattr(found.configs[chosen.number], name) for name in VARIED if name in names}
    which = "can't change the result" if not changes_results(changes) else "makes it another experiment"
    needs = _needs(changes, chosen, current, room)
    takes = f"which needs {needs} and {which}" if needs else f"which {which}"
    return f"The next gain is {as_written(changes)}, {gain(interval.inverse())}, {takes}."


def changes_results(names: Mapping[str, Any]) -> bool:
    """Whether any of these settings can change a result."""
    return any(field.setting.results for field in fields_of(PretrainConfig) if field.name in names)


def as_written(settings: Mapping[str, Any]) -> str:
    """Settings as --vary has them: `cache=vram num_workers=2`."""
    return " ".join(f"{name}={shown(value)}" for name, value in settings.items())


def _is_slower(interval: Interval | None) -> bool:
    return interval is None or interval.low > 1 + COUNTS


def _against_enough(others: Mapping[int, Interval | None]) -> list[str]:
    """`3 and 6 no faster`, `12 slower by 31–35 %`, `4: no difference found (0.67–1.42)`."""
    known = {number: interval for number, interval in others.items() if interval is not None}
    same = [n for n, i in known.items() if 1 - WIDE <= i.low <= 1 + COUNTS and i.high >= 1 - COUNTS]
    clauses = [f"{listed(map(str, same))} no faster"] if same else []
    rest = {n: i for n, i in known.items() if n not in same}
    return clauses + [f"{n}{':' if i.includes_one else ''} {compared(i)}" for n, i in rest.items()]


def _pairs(found: Measured, names: frozenset[str]) -> dict[int, Interval]:
    """By number of workers, all these switches on over all of them off; of several such pairs the fastest."""
    intervals: dict[int, Interval] = {}
    for first in found.results:
        values = found.meanings[first.number]
        number = values.get("num_workers")
        if number is None or number in intervals:
            continue
        for second in found.results:
            if found.apart(first, second) != names or len({values[name] for name in names}) > 1:
                continue
            on, off = (first, second) if values[next(iter(names))] else (second, first)
            interval = found.ratio(on, off)
            if interval is not None:
                intervals.setdefault(number, interval)
    return intervals


def _with_workers(numbers: list[int]) -> str:
    """`With 2 and 6 workers`; 0 never comes with others."""
    if numbers == [0]:
        return "Without workers"
    return f"With {listed(map(str, numbers))} worker{'s' * (numbers != [1])}"


def _verdict_of(on: str, off: str, interval: Interval) -> str:
    """`pinned is slower by 3–4 % than not pinned`."""
    words = compared(interval)
    if interval.includes_one:
        return f"{on} against {off}: {words}"
    return f"{on} is {words} {'as' if words.endswith(('as fast', 'as slow')) else 'than'} {off}"


def _hull(intervals: list[Interval]) -> Interval:
    """The smallest interval that holds all of them."""
    low, high = min(i.low for i in intervals), max(i.high for i in intervals)
    first = intervals[0]
    return Interval(low, high, first.median, first.coverage, first.count)


def _clause(value: Any, interval: Interval) -> str:
    if interval.includes_one:
        return f"no difference found with {shown(value)} ({interval.low:.2f}–{interval.high:.2f})"
    return f"{shown(value)} is {compared(interval)}"


def _needs(changes: Mapping[str, Any], chosen: Result, current: Result, room: Room | None) -> str:
    """Memory that a change takes: `2.8 of 61 GiB free`; empty where nothing is known or it takes no more."""
    split = room.split_bytes if room else None
    if room and split is not None and changes.get("cache") in ("ram", "vram"):
        is_host = changes["cache"] == "ram"
        free = room.host_free_bytes if is_host else room.device_free_bytes
        return f"{of_free(split, free)} free" if free is not None else binary(split)
    before, after = current.device_memory_bytes, chosen.device_memory_bytes
    if before and after and after > _MORE_MEMORY * before:
        return f"{binary(after)} on the device instead of {binary(before)}"
    return ""


def _share(part: float) -> str:
    percent = 100 * part
    return f"{percent:.0f} %" if percent >= 1 or percent == 0 else "less than 1 %"
