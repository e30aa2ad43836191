"""Each logger has every value of the store once, read back by its own means, though a mirror was killed on the way."""

import socket
from pathlib import Path

import pytest

from tests.trainer.mirror.living import lives, mirrored_run, needs
from tests.trainer.mirror.reading import expected
from trainer.mirror.names import LOGGERS
from trainer.store import RunStore


@pytest.mark.parametrize("name", LOGGERS)
def test_it_has_every_value_once_though_a_mirror_was_killed_before_it_could_note_how_far_it_got(
    store: RunStore, runs: Path, name: str
) -> None:
    needs(name)
    run_id = mirrored_run(store)
    found, told = lives(name, runs, run_id, 0)
    assert found == expected(runs, run_id)
    if name == "tensorboard":
        return
    settings = told["settings"]
    assert (str(settings["dataset"]), str(settings["epochs"]), settings["preset"]) == ("shapes", "9", "demo")
    assert "data_dir" not in settings
    if name == "mlflow":
        assert told["status"] == "SCHEDULED", "the run is paused"
        assert told["tags"]["mlflow.note.content"] == "two\nlines, “quoted”"
        assert told["tags"]["tag.baseline"] == "true"
        assert told["tags"]["simclr_tui.state"] == "paused"
    if name == "wandb":
        assert told["status"] == 0
        assert told["host"] in ("", "-"), socket.gethostname()
        assert str(runs) not in told["raw"], "no path of this machine is in what `wandb sync` would send"
        assert "baseline" in told["raw"]


def test_a_mirror_that_believes_its_mark_alone_doubles_what_was_handed_on(store: RunStore, runs: Path) -> None:
    run_id = mirrored_run(store)
    found, _ = lives("tensorboard", runs, run_id, 0, forgetful=True)
    assert len(found) > len(expected(runs, run_id))
    assert set(found) == set(expected(runs, run_id))
