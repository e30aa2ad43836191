"""Reads what estimates rest on: the epochs and the memory of runs that have trained, and what is free now."""

import platform

from simclr_tui.launch.estimate import ON_CPU, Known, MachineNow, Measured
from trainer.devices import gpus
from trainer.elsewhere import available_cores
from trainer.energy_use import CARD, CPU, energy_of, rank_count
from trainer.store.measured import memory_bytes, newest_epochs
from trainer.store.reader import StoreReader
from trainer.store.records import TRAINED_KINDS, Run
from trainer.stored_settings import settings_of

_MOST_RUNS = 300
"""The newest that have trained; older ones are left out, so that reading takes a moment at most."""
_EPOCHS = 30
"""The newest of each run."""


def read_known(reader: StoreReader | None) -> Known:
    """Everything that an estimate may rest on. Reads only, and blocks on the disk."""
    machine = machine_now()
    if reader is None:
        return Known((), machine)
    trained = [run for run in reader.runs() if run.kind in TRAINED_KINDS and run.epoch and run.device]
    alone = [run for run in trained if rank_count(run) == 1]  # as one that is launched from here; ranks share time out
    return Known(tuple(_measured(reader, run) for run in alone[:_MOST_RUNS]), machine)


def _measured(reader: StoreReader, run: Run) -> Measured:
    rows = newest_epochs(reader, run.id, limit=_EPOCHS)
    epochs = [(row["epoch"], row["t_epoch"]) for row in rows if (row["t_epoch"] or 0.0) > 0]
    later = [seconds for epoch, seconds in epochs if epoch > 1]
    device = run.device or ""
    return Measured(
        name=run.name,
        device=device,
        settings=settings_of(run),
        epochs=later or [seconds for _, seconds in epochs],
        card_joules=energy_of(run, rows, CARD).epoch,
        cpu_joules=energy_of(run, rows, CPU).epoch,
        memory_bytes=memory_bytes(reader, run.id, of_gpu=not device.startswith(ON_CPU)),
    )


def machine_now() -> MachineNow:
    """The devices of this machine and the memory that is free."""
    import psutil  # here: the first frame needs none of it

    return MachineNow(
        gpus=tuple(gpus()),
        cpu=f"{ON_CPU} ({platform.machine()})",
        cores=available_cores(),
        free_bytes=int(psutil.virtual_memory().available),
    )
