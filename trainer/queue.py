"""The line of runs that wait for a device: who is in it, and its order.

There is no daemon. A waiting run is a trainer that has its run's lock and a row in the table `queue`, and looks about
once a second whether it is the first of its line; one that was killed frees its run's lock with its process, so the
others pass it and take its row away. A row outlives a reboot and a signal that ended its trainer, so that the run takes
its old place when it is resumed into the line.
"""

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.benchmark_config import BenchmarkConfig
from trainer.config import PretrainConfig, check_device
from trainer.devices import NEXT, Gpu, describe, device_name
from trainer.errors import ConfigError, UnknownRunError, UsageError
from trainer.process import boot_id
from trainer.quote import quoted
from trainer.state import run_state
from trainer.store import queue as table
from trainer.store.reader import StoreReader
from trainer.store.records import TRAINED_KINDS, QueueRow, Run
from trainer.store.runs import RunStore

WAITING_KINDS = (*TRAINED_KINDS, "benchmark")
"""Kinds of runs that take a device, and may wait for it."""

MOVES = ("up", "down", "first")
"""Where a run can be moved in its line."""

_WAITING, _KEPT, _GONE = "waiting", "kept", "gone"
_BEFORE_THE_TURN = ("launched", "queued")
_NOT_DEAD = ("queued", "starting", "pausing", "stopping", "stalled")


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiter:
    """A run in the line of its device."""

    run: Run
    device: str
    """A name of trainer.devices."""
    place: int
    """From 1 in each line; held ones are counted, since they keep their place."""
    is_held: bool
    """Whether it lets others pass until it is released."""
    at: float
    """UTC seconds at which it joined the line."""
    state: str
    """One of trainer.state.STATES: queued; starting, pausing or stopping for a moment; stalled if it was stopped."""


def device_setting(run: Run) -> str:
    """The setting `device` of a run that takes one.

    Raises:
        ConfigError: its settings can't be used.
    """
    return _settings(run).device


def _settings(run: Run) -> BenchmarkConfig | PretrainConfig:
    settings: type[BenchmarkConfig | PretrainConfig] = BenchmarkConfig if run.kind == "benchmark" else PretrainConfig
    return settings.from_json(run.config)


def line(store: StoreReader, runs: Path) -> list[Waiter]:
    """Everybody who waits on this machine, device by device, each in its order. Reads only.

    A trainer must not ask while it waits itself: asking about its own lock would free it.
    """
    found: list[Waiter] = []
    for row in sorted(table.queue_rows(store), key=lambda row: (row.device, row.place)):
        run = _run(store, row)
        if run is None or _standing(run, runs) != _WAITING:
            continue
        place = 1 + sum(waiter.device == row.device for waiter in found)
        state = run_state(run, runs)
        found.append(Waiter(run=run, device=row.device, place=place, is_held=bool(row.is_held), at=row.at, state=state))
    return found


def set_aside(store: StoreReader, runs: Path) -> list[Run]:
    """The runs that were in a line until a reboot or a signal, in their order; a resume gives them their place back."""
    found = [_run(store, row) for row in table.queue_rows(store)]
    return [run for run in found if run is not None and _is_here(run) and _standing(run, runs) == _KEPT]


def _run(store: StoreReader, row: QueueRow) -> Run | None:
    """The run of a row; rows may outlive a run that was removed."""
    try:
        return store.run(row.run_id)
    except UnknownRunError:
        return None


def _is_here(run: Run) -> bool:
    return run.host in (None, socket.gethostname())


def _standing(run: Run, runs: Path) -> str:
    """Whether the run of a row waits, may come back to its place, or has left the line."""
    if not _is_here(run):
        return _KEPT
    if run.lifecycle in _BEFORE_THE_TURN:
        if run_state(run, runs) in _NOT_DEAD:
            return _WAITING
        return _KEPT if run.boot_id not in (None, boot_id()) else _GONE
    return _KEPT if run.lifecycle == "interrupted" else _GONE


def enqueue(store: RunStore, run_id: str, device: str, *, is_first: bool = False) -> None:
    """Put a run at the end of the line (or the beginning); one that has a place there keeps it. Commits durably.

    Args:
        store: the store.
        run_id: the run, whose trainer is about to be launched or waits.
        device: a name of trainer.devices.
        is_first: whether it goes before all others.
    """
    table.put_row(store, run_id, device, time.time(), is_first=is_first)


def move(store: RunStore, run_id: str, where: str) -> int:
    """Move a waiting run one place up or down, or to the beginning; its place from 1. Commits durably, at once.

    Raises:
        UsageError: it is not in a line.
    """
    assert where in MOVES, where
    places: list[int] = []

    def change(rows: list[QueueRow]) -> dict[str, float]:
        mine = _find(store, rows, run_id)
        others = [row for row in rows if row.device == mine.device and _waits(store, row)]
        index = others.index(mine)
        target = {"up": max(index - 1, 0), "down": min(index + 1, len(others) - 1), "first": 0}[where]
        places.append(target + 1)
        if target == index:
            return {}
        if where == "first":
            return {run_id: others[0].place - 1}
        return {run_id: others[target].place, others[target].run_id: mine.place}

    table.reorder(store, change)
    return places[0]


def redirect(store: RunStore, run_id: str, setting: str, there: Sequence[Gpu]) -> str:
    """Let a waiting run wait for another device, behind those that do; the name of the device. Commits durably.

    Args:
        store: the store.
        run_id: the run.
        setting: as the setting `device` has it: next, cpu, cuda, cuda:N or auto.
        there: the GPUs of this machine.

    Raises:
        UsageError: it is not in a line, or waits for that device already.
        ConfigError: that is no device, or none of this machine.
    """
    check_device(setting)
    device = device_name(setting, there)
    index = setting.partition(":")[2]
    if (setting == NEXT or setting.startswith("cuda")) and (not there or int(index or 0) >= len(there)):
        has = f"has {len(there)}" if there else "shows none"
        raise ConfigError("device", f"{quoted(setting)} needs a GPU that this machine {has} of; name one that is here")
    row = _find(store, table.queue_rows(store), run_id)
    run = store.run(run_id)
    if row.device == device:
        raise UsageError(f"{run.name} waits for {describe(device, there)} already")
    config = replace(_settings(run), device=setting).to_json()
    if not table.redirect(store, run_id, device, config):
        raise not_in_line(run)
    store.event(run_id, "settings", f"waits for {describe(device, there)} now (device {setting})")
    return device


def passed(store: StoreReader, runs: Path, run_id: str, where: str) -> list[Run]:
    """The runs that come later if a waiting run is moved up or to the beginning of its line. Reads only."""
    waiting = line(store, runs)
    mine = next((waiter for waiter in waiting if waiter.run.id == run_id), None)
    if mine is None or where not in ("up", "first"):
        return []
    nearest = mine.place - 1 if where == "up" else 1
    return [one.run for one in waiting if one.device == mine.device and nearest <= one.place < mine.place]


def _waits(store: RunStore, row: QueueRow) -> bool:
    run = _run(store, row)
    return run is not None and _is_here(run) and _standing(run, store.runs_path) == _WAITING


def _find(store: RunStore, rows: list[QueueRow], run_id: str) -> QueueRow:
    """The row of a run that waits.

    Raises:
        UsageError: it has none.
    """
    mine = next((row for row in rows if row.run_id == run_id), None)
    if mine is None or not _waits(store, mine):
        raise not_in_line(store.run(run_id))
    return mine


def not_in_line(run: Run) -> UsageError:
    """The error of whoever treats a run as waiting that does not wait."""
    return UsageError(
        f"{run.name} is in no line; `simclr-tui resume {run.id} --queue` puts it in one once it has ended"
    )


def hold(store: RunStore, run_id: str) -> None:
    """Let others pass a waiting run until it is released; it keeps its place. Commits durably.

    Raises:
        UsageError: it is not in a line.
    """
    _find(store, table.queue_rows(store), run_id)
    table.set_held(store, run_id, is_held=True)


def release(store: RunStore, run_id: str) -> None:
    """Let a held run have its turn again. Commits durably.

    Raises:
        UsageError: it is not in a line.
    """
    _find(store, table.queue_rows(store), run_id)
    table.set_held(store, run_id, is_held=False)


def leave(store: RunStore, run_id: str) -> None:
    """Take a run out of the line for good: its trainer ends, and the run is paused. Commits durably.

    Raises:
        UsageError: it is not in a line, and has no place to come back to.
    """
    row = next((row for row in table.queue_rows(store) if row.run_id == run_id), None)
    if row is None:
        raise not_in_line(store.run(run_id))
    if _waits(store, row):
        store.request(run_id, "pause")
    table.delete_row(store, run_id)


def _may_go(run: Run, runs: Path) -> bool:
    """Whether its turn can come: it waits here, and its process was not stopped."""
    return _is_here(run) and _standing(run, runs) == _WAITING and run_state(run, runs) != "stalled"


def ahead(store: RunStore, run_id: str) -> tuple[QueueRow | None, list[QueueRow]]:
    """A waiting trainer's own row, and those before it whose turn it is first. Takes away the rows of the dead.

    Asks for no lock of the trainer's own run, which would free it.
    """
    mine: QueueRow | None = None
    before: list[QueueRow] = []
    for row in table.queue_rows(store):
        if row.run_id == run_id:
            mine = row
            continue
        run = _run(store, row)
        standing = _GONE if run is None else _standing(run, store.runs_path)
        if standing == _GONE:
            table.delete_row(store, row.run_id)
        elif mine is None and not row.is_held and run is not None and _may_go(run, store.runs_path):
            before.append(row)
    return mine, before
