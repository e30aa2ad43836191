"""A run that was killed, packed and imported elsewhere goes on there bit for bit, as it does where it was.

Negative control: a run whose newest checkpoint is of other weights is noticed by the same comparison.
"""

from contextlib import closing
from pathlib import Path

import torch

from tests.reliability.same import differing, differing_in_checkpoint
from tests.reliability.trainers import Trainer, newest_payload, newest_run, options, steps, until
from trainer import checkpoint
from trainer.adding import AddingStore
from trainer.export.archive import write_archive
from trainer.export.importing import import_archive
from trainer.paths import checkpoint_dir
from trainer.store import StoreReader


def finish(runs: Path, run_id: str) -> None:
    trainer = Trainer(runs, "--run", run_id)
    assert trainer.wait() == 0, trainer.said()


def test_an_imported_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    trainer = Trainer(here, *options())
    until(lambda: here.is_dir() and len(checkpoint.steps_on_disk(_folder(here))) >= 2)
    trainer.kill()
    run_id = newest_run(here)
    with closing(StoreReader.open(here)) as reader:
        packed = write_archive(reader, reader.run(run_id), tmp_path / "run.tar", force=False)
    assert packed.checkpoints >= 1
    with closing(AddingStore.open(there)) as store:
        import_archive(store, tmp_path / "run.tar")
        assert 0 < store.last_step(run_id) < 24
        assert len(newest_payload(there, run_id)["model"]) > 0
    finish(here, run_id)
    finish(there, run_id)
    assert len(steps(there, run_id)) == 24
    assert differing((here, run_id), (there, run_id)) == []
    _spoil(there, run_id)
    assert differing_in_checkpoint((here, run_id), (there, run_id)) != []


def _folder(runs: Path) -> Path:
    """Of the checkpoints of the only run, as soon as it is there."""
    try:
        return checkpoint_dir(runs, newest_run(runs))
    except Exception:
        return runs / "none"


def _spoil(runs: Path, run_id: str) -> None:
    """The control: another number in the newest checkpoint, written as a trainer would write it."""
    folder = checkpoint_dir(runs, run_id)
    step = checkpoint.steps_on_disk(folder)[0]
    payload, manifest = checkpoint.load(folder, step, lambda _: True)
    name = next(name for name, value in payload["model"].items() if value.is_floating_point())
    payload["model"][name] = torch.nextafter(payload["model"][name], payload["model"][name] + 1)
    checkpoint.save(folder, payload, manifest)
