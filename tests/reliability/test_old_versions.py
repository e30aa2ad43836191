"""What an older version left behind: a store of schema 2 with a run that was cut off, and its checkpoint.

The runs folder was made by the last version before schema 3 (16 steps taken, a checkpoint of step 8, 80 shapes of 16
pixels, ResNet-18 an eighth as wide) and is never made anew.
"""

import tarfile
from pathlib import Path

import pytest

from tests.reliability.trainers import Trainer, newest_run, options, run_to_end, steps
from trainer.paths import store_file
from trainer.state import run_state
from trainer.store import RunStore, StoreReader
from trainer.store.connect import SCHEMA_VERSION

FIXTURE = Path(__file__).parent.parent / "fixtures" / "runs-of-schema-2.tar.xz"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The old runs folder."""
    runs = tmp_path / "runs"
    runs.mkdir()
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(runs, filter="data")
    return runs


def test_a_run_of_an_older_version_goes_on_from_its_checkpoint_to_its_end(old: Path, tmp_path: Path) -> None:
    reader = StoreReader.open(old)
    assert reader.schema_version() == 2
    before = steps(old, newest_run(old))
    assert [row[0] for row in before] == list(range(1, 17))
    reader.close()
    trainer = Trainer(old, "--run", "old")
    assert trainer.wait() == 0, trainer.said()
    store = RunStore.open(old)
    run = store.find("old")
    assert store.schema_version() == SCHEMA_VERSION
    assert run_state(run, old) == "finished"
    assert steps(old, run.id) == before, "nothing that was stored is changed"
    messages = {event.kind: event.message for event in store.events(run_id=run.id)}
    assert "going on after step 8" in messages["resumed-from"]
    assert messages["replay"].startswith("replay 8 of 8 ")
    assert [row["epoch"] for row in store.epochs(run.id)] == [1, 2]
    # This version makes the same steps of the same settings: to the last bit on the machine that made the folder.
    config = ("--stem=small", "--width-multiplier=0.125", "--momentum=0", "--keep-every-epochs=1")
    line = options(backbone="resnet18", optimizer="sgd", learning_rate="1e-2", epochs="2")
    anew = tmp_path / "anew"
    again = steps(anew, run_to_end(anew, *line, *config))
    losses = [[row[2] for row in rows] for rows in (before, again)]
    assert losses[0][:4] == pytest.approx(losses[1][:4], rel=2e-3)
    assert losses[0] == pytest.approx(losses[1], rel=0.1), "rounding of another machine or library grows with each step"
    store.close()


def test_a_changed_byte_of_the_old_checkpoint_is_noticed(old: Path) -> None:
    """The negative control: a version that believes whatever lies there would go on from it."""
    (file,) = old.glob("*/checkpoints/step-8-*.pt")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    trainer = Trainer(old, "--run", "old")
    assert trainer.wait() == 1
    assert "no checkpoint of the run can be used" in trainer.said()
    assert store_file(old).is_file()
