"""Damaged and hostile checkpoints: each is noticed, set aside and never deleted, and the one before is used.

The negative control is torch.load alone, which takes most files with a flipped bit for whole ones.
"""

import dataclasses
import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.reliability import pickles
from tests.reliability.trainers import Trainer, options, run_to_end, scores, steps, weights
from tests.trainer.test_checkpoint import put, rewrite, save
from trainer import checkpoint
from trainer.checkpoint import DamagedError
from trainer.config import PretrainConfig
from trainer.errors import CheckpointError
from trainer.keeper import CheckpointKeeper
from trainer.paths import checkpoint_dir
from trainer.seal import sealed
from trainer.store import RunStore

PAGE = 4096
LINE = options(limit_per_class="2", limit_test_per_class="2", epochs="2", checkpoint_seconds="0", keep_checkpoints="9")
"""Four steps, a checkpoint after each, all kept."""


@dataclasses.dataclass(frozen=True, slots=True)
class Checkpoint:
    """The newest checkpoint of a run, to be harmed."""

    folder: Path
    step: int
    draw: random.Random

    @property
    def manifest(self) -> Path:
        """Of it."""
        return self.folder / f"step-{self.step}.json"

    @property
    def weights(self) -> Path:
        """Of it."""
        return self.folder / str(json.loads(self.manifest.read_text())["file"])

    def edit(self, **changes: object) -> None:
        """Change its manifest as an editor would, without its digest."""
        self.manifest.write_text(json.dumps(json.loads(self.manifest.read_text()) | changes))


def _flip(path: Path, draw: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)


def _zero_a_page(path: Path, draw: random.Random) -> None:
    data = bytearray(path.read_bytes())
    full = [start for start in range(0, len(data), PAGE) if any(data[start : start + PAGE])]
    start = draw.choice(full)
    end = min(start + PAGE, len(data))
    data[start:end] = bytes(end - start)
    path.write_bytes(data)


def _truncate(path: Path, draw: random.Random) -> None:
    os.truncate(path, draw.choice([1, PAGE, path.stat().st_size // 2, draw.randrange(1, path.stat().st_size)]))


def _cut_off_the_end(path: Path, draw: random.Random) -> None:
    os.truncate(path, path.stat().st_size - draw.choice([1, 10]))


def _grow(path: Path, draw: random.Random) -> None:
    with path.open("ab") as file:
        file.write(draw.randbytes(draw.choice([1, PAGE])))


def _link_outside(path: Path, draw: random.Random) -> None:
    """The same bytes, and still not a file of this folder."""
    outside = path.parent.parent / "outside"
    shutil.move(path, outside)
    path.symlink_to(outside)


def _folder_instead(path: Path, draw: random.Random) -> None:
    path.unlink()
    path.mkdir()
    (path / "data.pkl").write_bytes(b"precious")


def _pipe_instead(path: Path, draw: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _loop_instead(path: Path, draw: random.Random) -> None:
    path.unlink()
    path.symlink_to(path)


def _dissolve(path: Path, draw: random.Random) -> None:
    path.write_bytes(draw.randbytes(path.stat().st_size))


def _other_size(harmed: Checkpoint) -> None:
    """Other bytes, announced with their digest and not with their size."""
    _grow(harmed.weights, harmed.draw)
    harmed.edit(sha256=hashlib.sha256(harmed.weights.read_bytes()).hexdigest())


def _manifest_of_another_step(harmed: Checkpoint) -> None:
    shutil.copy(harmed.folder / f"step-{harmed.step - 1}.json", harmed.manifest)


def _step_of_another_name(harmed: Checkpoint) -> None:
    """A manifest that was made right for the weights of the step before."""
    before = json.loads((harmed.folder / f"step-{harmed.step - 1}.json").read_text())
    harmed.manifest.write_text(json.dumps(sealed(before | {"step": harmed.step})))


def _weights_of_another_step(harmed: Checkpoint) -> None:
    """The bytes of the step before under this step's name, with everything else made right."""
    before = json.loads((harmed.folder / f"step-{harmed.step - 1}.json").read_text())
    data = (harmed.folder / before["file"]).read_bytes()
    name = f"step-{harmed.step}-{before['sha256'][:8]}.pt"
    harmed.weights.unlink()
    (harmed.folder / name).write_bytes(data)
    rewrite(harmed.manifest, file=name, bytes=len(data), sha256=before["sha256"])


def _say(path: Path, text: str) -> None:
    path.write_text(text)


def _on(part: str, harm: Callable[[Path, random.Random], None]) -> Callable[[Checkpoint], None]:
    return lambda harmed: harm(getattr(harmed, part), harmed.draw)


HARMS: dict[str, Callable[[Checkpoint], None]] = {
    "one bit of the weights": _on("weights", _flip),
    "one bit of the manifest": _on("manifest", _flip),
    "a page of zeros": _on("weights", _zero_a_page),
    "truncated": _on("weights", _truncate),
    "its end cut off": _on("weights", _cut_off_the_end),
    "grown": _on("weights", _grow),
    "empty": _on("weights", lambda path, _: os.truncate(path, 0)),
    "other bytes": _on("weights", _dissolve),
    "weights missing": _on("weights", lambda path, _: path.unlink()),
    "a link to outside": _on("weights", _link_outside),
    "a link to itself": _on("weights", _loop_instead),
    "a folder": _on("weights", _folder_instead),
    "a pipe": _on("weights", _pipe_instead),
    "manifest truncated": _on("manifest", _truncate),
    "manifest empty": _on("manifest", lambda path, _: os.truncate(path, 0)),
    "manifest of zeros": _on("manifest", _zero_a_page),
    "manifest a folder": _on("manifest", _folder_instead),
    "manifest a link": _on("manifest", _link_outside),
    "manifest a pipe": _on("manifest", _pipe_instead),
    "manifest a list": lambda harmed: _say(harmed.manifest, "[1, 2]"),
    "manifest a number": lambda harmed: _say(harmed.manifest, "1e999"),
    "manifest nested": lambda harmed: _say(harmed.manifest, "[" * 100_000),
    "manifest of another step": _manifest_of_another_step,
    "manifest renamed": _step_of_another_name,
    "weights of another step": _weights_of_another_step,
    "epoch edited": lambda harmed: harmed.edit(epoch=7),
    "epoch a text": lambda harmed: rewrite(harmed.manifest, epoch="7"),
    "size edited": lambda harmed: harmed.edit(bytes=1),
    "size huge": lambda harmed: rewrite(harmed.manifest, bytes=1 << 62),
    "size true": lambda harmed: rewrite(harmed.manifest, bytes=True),
    "size below 0": lambda harmed: rewrite(harmed.manifest, bytes=-1),
    "digest edited": lambda harmed: harmed.edit(sha256="0" * 64),
    "digest no text": lambda harmed: rewrite(harmed.manifest, sha256=None),
    "format edited": lambda harmed: harmed.edit(format=2),
    "settings edited": lambda harmed: harmed.edit(config="{}"),
    "unknown key added": lambda harmed: harmed.edit(extra=1),
    "digest of the manifest gone": lambda harmed: harmed.edit(check=None),
    "other size, digest edited": _other_size,
    "file outside": lambda harmed: rewrite(harmed.manifest, file="../../outside.pt"),
    "file absolute": lambda harmed: rewrite(harmed.manifest, file="/etc/passwd"),
    "file with a NUL": lambda harmed: rewrite(harmed.manifest, file="step-2-\0.pt"),
    "file no text": lambda harmed: rewrite(harmed.manifest, file=["a"]),
    "another step's file": lambda harmed: rewrite(harmed.manifest, step=harmed.step + 1),
}
"""What can happen to a checkpoint, each of which is damage."""

PASSED_OVER: dict[str, Callable[[Checkpoint], None]] = {
    "an older format": lambda harmed: rewrite(harmed.manifest, format=0),
    "a newer format": lambda harmed: rewrite(harmed.manifest, format=99),
    "another run's settings": lambda harmed: rewrite(harmed.manifest, config=PretrainConfig(seed=7).to_json()),
    "settings that are no JSON": lambda harmed: rewrite(harmed.manifest, config="{"),
    "settings that are a list": lambda harmed: rewrite(harmed.manifest, config="[1]"),
    "settings that are missing": lambda harmed: rewrite(harmed.manifest, config=None),
    "settings that are nested": lambda harmed: rewrite(harmed.manifest, config="[" * 100_000),
    "settings unknown": lambda harmed: rewrite(harmed.manifest, config='{"unheard_of": 1}'),
}
"""Whole checkpoints that are not this run's: passed over, told, and left where they are."""


def copies(runs: Path, tmp_path: Path) -> Iterator[Path]:
    """Fresh copies of a runs folder, one after the other."""
    for number in range(1 << 30):
        target = tmp_path / f"copy{number}" / "runs"
        shutil.copytree(runs, target)
        yield target
        shutil.rmtree(target.parent)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run that has finished, and all of its checkpoints."""
    runs = tmp_path_factory.mktemp("whole") / "runs"
    run_id = run_to_end(runs, *LINE)
    with sqlite3.connect(runs / "runs.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return runs, run_id


def inventory(folder: Path) -> list[tuple[str, str]]:
    """Everything below a folder: what it is called but for `.damaged`, and a digest of it. No link is followed."""
    found = []
    for path in sorted(folder.rglob("*")):
        plain = path.is_file() and not path.is_symlink()
        kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "pipe" if path.is_fifo() else ""
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if plain else kind
        found.append((str(path.relative_to(folder)).replace(".damaged", ""), digest))
    return sorted(found)


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def events(runs: Path, run_id: str, after: int = 0) -> list[str]:
    """The kinds of the run's events about its checkpoints since one of them, in order."""
    store = RunStore.open(runs)
    found = [event.kind for event in store.events(run_id=run_id, after=after)]
    store.close()
    return [kind for kind in found if kind in ("checkpoint-damaged", "checkpoint-skipped", "checkpoint-fallback")]


def check(runs: Path, run_id: str, harm: Callable[[Checkpoint], None], draw: random.Random, *, is_damage: bool) -> None:
    """Harm the newest checkpoint, look for one as an evaluation does and then as the run's trainer does."""
    store = RunStore.open(runs)
    config = PretrainConfig.from_json(store.run(run_id).config)
    keeper = CheckpointKeeper(store, runs, run_id, config)
    folder = checkpoint_dir(runs, run_id)
    newest, before = checkpoint.steps_on_disk(folder)[:2]
    harm(Checkpoint(folder, newest, draw))
    listed, content = names(folder), inventory(folder)
    kind = "checkpoint-damaged" if is_damage else "checkpoint-skipped"
    for owner in (False, True):
        seen = max((event.id for event in store.events(run_id=run_id)), default=0)
        found = keeper.newest(owner=owner)
        assert found is not None
        assert found[0]["step"] == found[1]["step"] == before
        assert events(runs, run_id, seen) == [kind, "checkpoint-fallback"]
        assert inventory(folder) == content, "something was deleted or changed"
        if not owner or not is_damage:
            assert names(folder) == listed
    aside = [name for name in names(folder) if name.endswith(".damaged")]
    assert bool(aside) == is_damage
    assert (newest in checkpoint.steps_on_disk(folder)) != is_damage
    store.close()


def harm_many(whole: tuple[Path, str], tmp_path: Path, count: int, seed: int) -> None:
    """So many checkpoints, harmed in every way in turn, each noticed."""
    runs, run_id = whole
    draw = random.Random(seed)
    for number, copy in zip(range(count), copies(runs, tmp_path), strict=False):
        harms = list(HARMS) + list(PASSED_OVER)
        name = harms[number % len(harms)]
        try:
            check(copy, run_id, (HARMS | PASSED_OVER)[name], draw, is_damage=name in HARMS)
        except BaseException as error:
            raise AssertionError(f"{name} (number {number} of seed {seed}): {error}") from error


def test_every_way_of_damage_is_noticed_and_the_one_before_is_used(whole: tuple[Path, str], tmp_path: Path) -> None:
    harm_many(whole, tmp_path, len(HARMS) + len(PASSED_OVER), seed=0)


@pytest.mark.reliability
def test_two_hundred_damaged_checkpoints_are_noticed(whole: tuple[Path, str], tmp_path: Path) -> None:
    harm_many(whole, tmp_path, 204, seed=1)


@pytest.mark.reliability
@pytest.mark.parametrize("harm", [_flip, _zero_a_page], ids=["bit", "page"])
def test_two_hundred_flipped_bits_and_zeroed_pages_of_one_file(tmp_path: Path, harm: Any) -> None:
    draw = random.Random(2)
    whole = save(tmp_path, 1)
    data = whole.path.read_bytes()
    for _ in range(200):
        whole.path.write_bytes(data)
        harm(whole.path, draw)
        with pytest.raises(DamagedError):
            checkpoint.load(tmp_path, 1, lambda _: True)


def test_torch_alone_takes_most_flipped_bits_for_whole(tmp_path: Path) -> None:
    """The negative control: the same check without the digest notices next to nothing."""
    draw = random.Random(3)
    path = tmp_path / "plain.pt"
    tensors = {"w": torch.randn(100_000, generator=torch.Generator().manual_seed(0))}
    torch.save(tensors, path)
    data = path.read_bytes()
    silent = 0
    for _ in range(100):
        path.write_bytes(data)
        _flip(path, draw)
        try:
            silent += not torch.equal(torch.load(path, weights_only=True)["w"], tensors["w"])
        except Exception:
            continue
    print(f"torch.load alone: {silent} of 100 flipped bits loaded silently with other weights")
    assert silent > 90


def test_a_run_whose_newest_checkpoints_are_damaged_ends_as_if_they_were_not(
    whole: tuple[Path, str], tmp_path: Path
) -> None:
    """A trainer in a process of its own, which has to go back two checkpoints."""
    runs, run_id = whole
    copy = next(copies(runs, tmp_path))
    folder = checkpoint_dir(copy, run_id)
    store = RunStore.open(copy)
    newest = checkpoint.steps_on_disk(folder)
    HARMS["one bit of the weights"](Checkpoint(folder, newest[0], random.Random(4)))
    HARMS["manifest nested"](Checkpoint(folder, newest[1], random.Random(4)))
    store.lifecycle(run_id, "interrupted", "as if by a kill")
    store.close()
    trainer = Trainer(copy, "--run", run_id)
    assert trainer.wait() == 0, trainer.said()
    assert events(copy, run_id) == ["checkpoint-damaged", "checkpoint-damaged", "checkpoint-fallback"]
    assert steps(copy, run_id) == steps(runs, run_id)
    assert scores(copy, run_id) == scores(runs, run_id)
    ours, theirs = weights(copy, run_id), weights(runs, run_id)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_when_all_are_damaged_the_run_ends_with_a_sentence_and_nothing_is_deleted(
    whole: tuple[Path, str], tmp_path: Path
) -> None:
    runs, run_id = whole
    copy = next(copies(runs, tmp_path))
    folder = checkpoint_dir(copy, run_id)
    for step in checkpoint.steps_on_disk(folder):
        HARMS["truncated"](Checkpoint(folder, step, random.Random(5)))
    content = inventory(folder)
    store = RunStore.open(copy)
    store.lifecycle(run_id, "interrupted", "as if by a kill")
    store.close()
    for _ in range(2):
        trainer = Trainer(copy, "--run", run_id)
        assert trainer.wait() == 1
        assert "no checkpoint of the run can be used" in trainer.said()
        assert "Traceback" not in trainer.said()
    assert inventory(folder) == content


@pytest.mark.parametrize("maker", pickles.MAKERS)
def test_what_is_made_to_harm_is_refused_and_runs_nothing(tmp_path: Path, maker: str) -> None:
    """Through the product's own way of loading, announced with the right digest."""
    canary = tmp_path / "canary"
    folder = tmp_path / "checkpoints"
    save(folder, 1)
    put(save(folder, pickles.STEP), pickles.MAKERS[maker](canary))
    said: list[tuple[str, str]] = []
    found = checkpoint.latest_valid(folder, lambda _: True, lambda *words: said.append(words), owner=True)
    assert found is not None
    assert found[0]["step"] == 1
    assert [kind for kind, _ in said] == ["checkpoint-damaged", "checkpoint-fallback"]
    assert said[0][1].count("\n") == 0
    assert len(said[0][1]) < 200
    assert not canary.exists()


def test_the_corpus_would_run_where_nothing_looks(tmp_path: Path) -> None:
    """The negative control, in a process of its own: loaded without weights_only, the canaries are made."""
    makers = [name for name in pickles.MAKERS if name.startswith(("os.system", "builtins", "in a ", "GLOBAL, an"))]
    for number, name in enumerate(makers):
        (tmp_path / f"{number}.pt").write_bytes(pickles.MAKERS[name](tmp_path / f"{number}.canary"))
    careless = (
        "import contextlib, sys, torch\nfor file in sys.argv[1:]:\n"
        "    with contextlib.suppress(Exception):\n        torch.load(file, weights_only" + "=False)"
    )
    files = sorted(tmp_path.glob("*.pt"))
    subprocess.run([sys.executable, "-c", careless, *files], capture_output=True, check=False, timeout=100)
    assert len(list(tmp_path.glob("*.canary"))) == len(makers) > 5


def test_a_checkpoint_of_another_architecture_is_told_and_not_traced(whole: tuple[Path, str], tmp_path: Path) -> None:
    """A whole file with a right digest, of a wider network, where the run's own was."""
    runs, run_id = whole
    copy = next(copies(runs, tmp_path))
    wider = tmp_path / "wider"
    other = run_to_end(wider, *LINE, "--head-width", "24")
    folder, source = checkpoint_dir(copy, run_id), checkpoint_dir(wider, other)
    newest = checkpoint.steps_on_disk(folder)[0]
    own = json.loads((folder / f"step-{newest}.json").read_text())
    theirs = json.loads((source / f"step-{newest}.json").read_text())
    shutil.copy(source / theirs["file"], folder / theirs["file"])
    rewrite(folder / f"step-{newest}.json", file=theirs["file"], bytes=theirs["bytes"], sha256=theirs["sha256"])
    store = RunStore.open(copy)
    store.lifecycle(run_id, "interrupted", "as if by a kill")
    store.close()
    trainer = Trainer(copy, "--run", run_id)
    assert trainer.wait() == 2, trainer.said()
    assert "another architecture than the run's settings say" in trainer.said()
    assert "Traceback" not in trainer.said()
    assert (folder / own["file"]).exists() or (folder / theirs["file"]).exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_not_taken_for_an_empty_one(whole: tuple[Path, str], tmp_path: Path) -> None:
    runs, run_id = whole
    copy = next(copies(runs, tmp_path))
    folder = checkpoint_dir(copy, run_id)
    folder.chmod(0)
    store = RunStore.open(copy)
    config = PretrainConfig.from_json(store.run(run_id).config)
    try:
        with pytest.raises(CheckpointError):
            CheckpointKeeper(store, copy, run_id, config).newest(owner=True)
    finally:
        folder.chmod(0o755)
        store.close()
