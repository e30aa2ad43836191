"""One step taken once more: the same bits as recorded, nothing stored, and what is not finite named."""

import hashlib
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.reliability.trainers import options
from trainer import replay, run
from trainer.checkpoint import steps_on_disk
from trainer.paths import checkpoint_dir
from trainer.replay_report import Layers
from trainer.store import RunStore


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of 24 steps of which every checkpoint was kept."""
    runs = tmp_path_factory.mktemp("replay") / "runs"
    line = options(keep_checkpoints="100", clip_grad_norm="0.5", ema_decay="0.9", health_every="0")
    assert run.main(["--runs-dir", str(runs), *line]) == 0
    return runs, only_run(runs)


def only_run(runs: Path) -> str:
    """The id of the only run of a folder."""
    store = RunStore.open(runs)
    (found,) = store.runs()
    store.close()
    return found.id


def take(capsys: pytest.CaptureFixture[str], runs: Path, run_id: str, step: int, *more: str) -> tuple[int, str]:
    """Replay a step: exit code, and what was printed (the sentence, where it failed)."""
    capsys.readouterr()
    code = replay.main(["--runs-dir", str(runs), "--run", run_id, "--step", str(step), *more])
    said = capsys.readouterr()
    return code, said.out if code == 0 else said.err


def document(capsys: pytest.CaptureFixture[str], runs: Path, run_id: str, step: int, *more: str) -> dict[str, Any]:
    """The JSON document of a replay."""
    code, text = take(capsys, runs, run_id, step, "--json", *more)
    assert code == 0, text
    found: dict[str, Any] = json.loads(text)
    return found


def everything_in(runs: Path) -> dict[str, str]:
    """The bytes of every file and the rows of every table."""
    files = {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in runs.rglob("*")
        if path.is_file() and path.suffix not in (".db-shm", ".db-wal")
    }
    connection = sqlite3.connect(runs / "runs.db")
    rows = {"rows": "\n".join(connection.iterdump())}
    connection.close()
    return files | rows


def test_a_replayed_step_has_the_recorded_bits_and_leaves_everything_as_it_was(
    finished: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    runs, run_id = finished
    before = everything_in(runs)
    found = document(capsys, runs, run_id, 13)
    assert (found["began_after"], found["epoch"], found["batch"], found["batches"]) == (12, 2, 5, 8)
    assert set(found["figures"]) == {"loss", "acc_top1", "acc_top5", "acc_mean_pos", "grad_norm"}
    for name, figure in found["figures"].items():
        assert figure["identical"], name
        assert figure["recomputed"] == figure["recorded"]
    assert found["first_bad_layer"] is None
    assert len(found["images"]) == 10
    assert len(found["views"]) == 2
    norms = [one["norm"] for one in found["gradients"]]
    assert norms == sorted(norms, reverse=True)
    assert sum(norm**2 for norm in norms) ** 0.5 == pytest.approx(found["figures"]["grad_norm"]["recomputed"], rel=1e-4)
    assert everything_in(runs) == before


def test_the_steps_from_the_checkpoint_on_are_repeated(
    finished: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over the end of an epoch, from the newest checkpoint that verifies."""
    runs, run_id = shutil.copytree(finished[0], tmp_path / "runs"), finished[1]
    folder = checkpoint_dir(runs, run_id)
    for step in steps_on_disk(folder):
        if step > 6:
            (folder / f"step-{step}.json").unlink()
    (damaged,) = folder.glob("step-6-*.pt")
    damaged.write_bytes(b"damaged")
    found = document(capsys, runs, run_id, 12)
    assert (found["began_after"], found["compared"], found["same"]) == (5, 6, 6)
    assert all(figure["identical"] for figure in found["figures"].values())
    assert damaged.exists()


def test_without_a_checkpoint_before_it_there_is_a_sentence_and_a_way(
    finished: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    runs, run_id = finished
    code, sentence = take(capsys, runs, run_id, 1)
    assert code == 1
    assert "no checkpoint before step 1 can be used, the earliest of" in sentence
    assert "is of step 1; " in sentence
    assert "--from-start" in sentence
    found = document(capsys, runs, run_id, 3, "--from-start")
    assert (found["began_after"], found["compared"], found["same"]) == (0, 2, 2)
    assert all(figure["identical"] for figure in found["figures"].values())


@pytest.mark.parametrize(("step", "words"), [(0, "they are counted from 1"), (25, "has 24 steps; give at most that")])
def test_a_step_that_is_none_is_refused(
    finished: tuple[Path, str], capsys: pytest.CaptureFixture[str], step: int, words: str
) -> None:
    code, sentence = take(capsys, *finished, step)
    assert code == 2
    assert words in sentence
    assert len(sentence.strip().splitlines()) == 1


def test_other_draws_would_be_found_to_differ(
    finished: tuple[Path, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    from trainer import loader, randomness

    draw = randomness.uniforms
    monkeypatch.setattr(loader, "uniforms", lambda seed, *names, **options: draw(seed + 1, *names, **options))
    found = document(capsys, *finished, 13)
    assert not found["figures"]["loss"]["identical"]
    code, text = take(capsys, *finished, 13)
    assert code == 0
    assert "differs" in text


def test_the_report_for_people_has_figures_layers_gradients_and_views(
    finished: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = take(capsys, *finished, 13)
    assert code == 0
    assert "gone on from the checkpoint of step 12" in text
    assert text.count("identical") == 5
    for words in ("every layer's output is finite", "encoder.stem.0", "gradient of", "view 2: ", "images of train: "):
        assert words in text, text
    assert all(len(line) <= 120 for line in text.splitlines())


def test_it_is_said_that_steps_of_another_mode_need_not_agree_in_their_last_digits(
    finished: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, run_id = finished
    shutil.copytree(runs, tmp_path / "runs")
    store = RunStore.open(tmp_path / "runs")
    facts = json.loads(store.run(run_id).fingerprint or "")
    assert facts["step_mode"] == "eager"
    assert [event.kind for event in store.events(run_id=run_id)].count("step-mode") == 1
    store.update_run(run_id, fingerprint=json.dumps(facts | {"step_mode": "graph"}))
    store.close()
    words = "last digits may differ: steps of the run are of mode graph, these are eager"
    assert words in take(capsys, tmp_path / "runs", run_id, 13)[1]
    assert words not in take(capsys, runs, run_id, 13)[1]


def test_a_step_that_was_not_finite_is_not_finite_again_and_its_first_layer_is_named(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = options(
        optimizer="sgd", learning_rate="100", weight_decay="1", schedule="step", momentum="0.99", epochs="40"
    )
    assert run.main(["--runs-dir", str(runs), *line]) == 1
    store = RunStore.open(runs)
    (event,) = [event for event in store.events() if event.kind == "non-finite"]
    run_id = only_run(runs)
    assert event.step is not None
    found = document(capsys, runs, run_id, event.step)
    assert {"nan", "inf"} & {found["figures"]["loss"]["recomputed"], found["figures"]["grad_norm"]["recomputed"]}
    assert all(figure["identical"] for figure in found["figures"].values())
    listed = json.loads((runs / run_id / f"nonfinite-step-{event.step}.json").read_text())
    assert listed["images"] == found["images"]
    if found["first_bad_layer"]:
        assert found["first_bad_layer"] in take(capsys, runs, run_id, event.step)[1]
    store.close()


def test_the_first_layer_that_is_not_finite_is_the_first_in_the_order_of_the_forward_pass() -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = torch.nn.Linear(2, 2)
            self.first = torch.nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.last(self.first(x))
            return y

    net = Net()
    with Layers(net) as layers:
        net(torch.tensor([[1.0, torch.inf]])).sum().backward()
    assert [layer.name for layer in layers.seen] == ["first", "last"]
    assert layers.seen[0].bad == 2
    with torch.no_grad():
        net(torch.ones(1, 2))
    assert len(layers.seen) == 2  # it watches no longer
