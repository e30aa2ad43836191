"""Checkpoints: written whole or not at all, and believed only when every byte is right."""

import errno
import hashlib
import io
import json
import os
import pickle
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.small_disk import files_of_at_most
from trainer import checkpoint
from trainer.anatomy import EpochSums
from trainer.errors import DataError
from trainer.payload import check_fit
from trainer.seal import sealed


def fits(manifest: dict[str, Any]) -> bool:
    """Whether a manifest is of the settings of these tests."""
    return bool(manifest["config"] == "mine")


def save(folder: Path, step: int, value: float | None = None) -> checkpoint.Saved:
    """A small checkpoint that knows its step."""
    return checkpoint.save(folder, content(step, value), {"step": step, "epoch": 1, "config": "mine"})


def content(step: int, value: float | None = None) -> dict[str, Any]:
    """What a checkpoint holds, small."""
    return {
        "model": {"w": torch.full((100,), float(step if value is None else value))},
        "optimizer": {"state": {}, "param_groups": []},
        "step": step,
        "closed_epochs": 0,
        "classes": 0,
        "clock": {"trained": 1.0, "epoch": 0.5, "aside": 0.25},
        "data": "fingerprint",
    }


def rewrite(manifest: Path, **changes: object) -> None:
    """Change a manifest so that nothing about it looks changed."""
    values = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(sealed(values | changes)))


def put(saved: checkpoint.Saved, data: bytes) -> None:
    """Put other bytes into a checkpoint, announced with the right digest."""
    digest = hashlib.sha256(data).hexdigest()
    saved.path.unlink()
    path = saved.path.with_name(f"step-{saved.step}-{digest[:8]}.pt")
    path.write_bytes(data)
    rewrite(saved.manifest, file=path.name, bytes=len(data), sha256=digest)


def manifest_of(path: Path) -> Path:
    """The manifest of a checkpoint's file."""
    return path.with_name("-".join(path.stem.split("-")[:2]) + ".json")


def latest(folder: Path) -> tuple[int, list[str]]:
    """The step that a resume would take, and what was reported."""
    said: list[str] = []
    found = checkpoint.latest_valid(folder, fits, lambda kind, _message: said.append(kind), owner=True)
    assert found is not None
    assert float(found[0]["model"]["w"][0]) == found[0]["step"]
    return found[0]["step"], said


def test_what_is_saved_is_loaded_bit_for_bit(tmp_path: Path) -> None:
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    payload = content(7) | {"model": {"w": values}, "classes": 3}
    saved = checkpoint.save(tmp_path, payload, {"step": 7, "epoch": 1, "config": "mine"})
    found, manifest = checkpoint.load(tmp_path, 7, fits)
    assert torch.equal(found["model"]["w"], values)
    assert found["classes"] == 3
    assert manifest["bytes"] == saved.path.stat().st_size


def test_no_checkpoint_is_no_error_and_the_newest_is_taken(tmp_path: Path) -> None:
    assert checkpoint.latest_valid(tmp_path, fits, print, owner=True) is None
    for step in (9, 10, 100):
        save(tmp_path, step)
    assert latest(tmp_path) == (100, [])


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    position = random.Random(len(data)).randrange(len(data))
    data[position] ^= 1
    path.write_bytes(data)


def _zero_a_page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[256:512] = bytes(256)
    path.write_bytes(data)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _swap_manifests(path: Path) -> None:
    other = path.with_name("step-1.json").read_bytes()
    manifest_of(path).write_bytes(other)


def _point_elsewhere(path: Path) -> None:
    rewrite(manifest_of(path), file="../../etc/passwd")


def _garble_manifest(path: Path) -> None:
    manifest_of(path).write_text("{ no json")


DAMAGES = [
    _truncate,
    _flip_a_bit,
    _zero_a_page,
    _empty,
    _swap_manifests,
    _point_elsewhere,
    _garble_manifest,
    Path.unlink,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_is_used(tmp_path: Path, damage: Any) -> None:
    save(tmp_path, 1)
    damaged = save(tmp_path, 2).path
    damage(damaged)
    assert latest(tmp_path) == (1, ["checkpoint-damaged", "checkpoint-fallback"])
    assert (tmp_path / "step-2.json.damaged").exists()
    assert latest(tmp_path) == (1, [])


def test_torch_alone_would_not_notice_a_flipped_bit(tmp_path: Path) -> None:
    """The negative control: what the digest is for."""
    path = save(tmp_path, 2).path
    data = bytearray(path.read_bytes())
    position = bytes(data).index(torch.tensor([2.0, 2.0, 2.0]).numpy().tobytes()) + 1
    data[position] ^= 1
    path.write_bytes(data)
    silently = torch.load(path, weights_only=True)
    assert not torch.equal(silently["model"]["w"], torch.full((100,), 2.0))


def test_when_none_verifies_nothing_is_made_up(tmp_path: Path) -> None:
    _truncate(save(tmp_path, 1).path)
    for _ in range(2):
        with pytest.raises(checkpoint.DamagedError, match="none that was written verifies"):
            checkpoint.latest_valid(tmp_path, fits, lambda *_: None, owner=True)


@pytest.mark.parametrize("change", [{"config": "other"}, {"format": 999}])
def test_a_checkpoint_of_other_settings_or_version_is_passed_over_and_stays(
    tmp_path: Path, change: dict[str, object]
) -> None:
    save(tmp_path, 1)
    other = save(tmp_path, 2)
    rewrite(other.manifest, **change)
    assert latest(tmp_path) == (1, ["checkpoint-skipped", "checkpoint-fallback"])
    assert other.path.exists()
    assert other.manifest.exists()


def test_a_reader_sets_nothing_aside(tmp_path: Path) -> None:
    save(tmp_path, 1)
    _truncate(save(tmp_path, 2).path)
    before = sorted(path.name for path in tmp_path.iterdir())
    said: list[str] = []
    found = checkpoint.latest_valid(tmp_path, fits, lambda kind, _: said.append(kind), owner=False)
    assert found is not None
    assert found[0]["step"] == 1
    assert said == ["checkpoint-damaged", "checkpoint-fallback"]
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_step_that_is_saved_again_is_never_without_a_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stops between the two renames, as kill -9 can, and looks at what is left."""
    folder = tmp_path / "checkpoints"
    save(folder, 5, value=1.0)
    replaces = 0
    original = Path.replace

    def stop_at_second(self: Path, target: Path) -> Path:
        nonlocal replaces
        replaces += 1
        if replaces == 2:
            raise KeyboardInterrupt
        return original(self, target)

    monkeypatch.setattr(Path, "replace", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        save(folder, 5, value=2.0)
    monkeypatch.undo()
    payload, _ = checkpoint.load(folder, 5, fits)
    assert float(payload["model"]["w"][0]) == 1.0
    assert len(list(folder.glob("*.pt"))) == 2
    checkpoint.tidy(folder)
    assert len(list(folder.glob("*.pt"))) == 1
    save(folder, 5, value=3.0)
    assert float(checkpoint.load(folder, 5, fits)[0]["model"]["w"][0]) == 3.0
    assert len(list(folder.glob("*.pt"))) == 1


def test_tidying_leaves_everything_where_a_manifest_is_damaged(tmp_path: Path) -> None:
    saved = save(tmp_path, 1)
    (tmp_path / "step-2-00000000.pt.tmp").write_bytes(b"half")
    checkpoint.tidy(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"step-1.json", saved.path.name}
    _garble_manifest(saved.path)
    checkpoint.tidy(tmp_path)
    assert saved.path.exists()


class _Attack:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.target),))


def test_a_pickle_that_would_run_code_runs_none(tmp_path: Path) -> None:
    """Its digest is right, as an attacker's would be; loading is what refuses it."""
    target = tmp_path / "attacked"
    for data in (pickle.dumps(_Attack(target)), _zipped(_Attack(target), tmp_path)):
        saved = save(tmp_path, 2)
        put(saved, data)
        with pytest.raises(checkpoint.DamagedError, match="cannot be loaded"):
            checkpoint.load(tmp_path, 2, fits)
        assert not target.exists()


def _zipped(what: object, folder: Path) -> bytes:
    path = folder / "attack.pt"
    torch.save(what, path)
    return path.read_bytes()


def test_a_disk_that_fails_at_any_call_leaves_the_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails the n-th of all fsync and replace calls, for every n, until a save gets through."""
    folder = tmp_path / "checkpoints"
    save(folder, 1)
    calls = 0
    fail_at = 0

    def failing(original: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == fail_at:
                raise OSError(errno.ENOSPC, "No space left on device")
            return original(*arguments, **options)

        return call

    monkeypatch.setattr(os, "fsync", failing(os.fsync))
    monkeypatch.setattr(Path, "replace", failing(Path.replace))
    failures = 0
    while True:
        calls, fail_at = 0, fail_at + 1
        try:
            save(folder, 2)
        except OSError:
            failures += 1
            step, said = latest(folder)
            assert step in (1, 2)
            assert said == []
            assert not list(folder.glob("*.tmp"))
            continue
        break
    assert failures == 6
    assert latest(folder) == (2, [])


def test_a_file_without_its_manifest_was_never_announced(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2).manifest.unlink()
    assert latest(tmp_path) == (1, [])


def test_a_disk_that_takes_half_a_checkpoint_has_none(tmp_path: Path) -> None:
    size = save(tmp_path / "elsewhere", 3).path.stat().st_size
    with files_of_at_most(size // 2), pytest.raises(OSError, match="File too large"):
        save(tmp_path, 3)
    assert checkpoint.steps_on_disk(tmp_path) == []


def test_a_removed_checkpoint_is_gone_with_its_manifest(tmp_path: Path) -> None:
    save(tmp_path, 1)
    kept = save(tmp_path, 2)
    checkpoint.remove(tmp_path, 1)
    assert checkpoint.steps_on_disk(tmp_path) == [2]
    assert sorted(tmp_path.iterdir()) == sorted([kept.path, kept.manifest])


def test_a_checkpoint_is_removed_with_its_manifest_first_and_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between any two of the calls announces nothing that is not there, after a power cut either."""
    saved, calls, unlink = save(tmp_path, 1), [], Path.unlink

    def noting(path: Path, *, missing_ok: bool = False) -> None:
        calls.append(path)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", noting)
    monkeypatch.setattr(checkpoint, "sync", calls.append)
    checkpoint.remove(tmp_path, 1)
    assert calls == [saved.manifest, tmp_path, saved.path]


def test_a_step_set_aside_twice_keeps_both(tmp_path: Path) -> None:
    contents = []
    for value in (1.0, 2.0, 3.0):
        save(tmp_path, 1)
        saved = save(tmp_path, 2, value=value)
        rewrite(saved.manifest, reason=f"life {value}", check="none")
        saved.path.write_bytes(bytes([int(value)]) * 9)
        contents.append(bytes([int(value)]) * 9)
        (tmp_path / saved.path.name).rename(tmp_path / "step-2-00000000.pt")
        manifest = json.loads(saved.manifest.read_text()) | {"file": "step-2-00000000.pt"}
        saved.manifest.write_text(json.dumps(manifest))
        assert latest(tmp_path)[0] == 1
    aside = sorted(tmp_path.glob("step-2-*.pt.damaged*"))
    assert [path.read_bytes() for path in aside] == contents
    assert len(list(tmp_path.glob("step-2.json.damaged*"))) == 3


def test_a_manifest_from_before_it_carried_a_digest_is_believed(tmp_path: Path) -> None:
    saved = save(tmp_path, 3)
    manifest = json.loads(saved.manifest.read_text())
    del manifest["check"]
    saved.manifest.write_text(json.dumps(manifest))
    assert latest(tmp_path) == (3, [])


def test_a_file_name_that_only_looks_like_a_step_is_passed_by(tmp_path: Path) -> None:
    save(tmp_path, 3)
    for name in ("step-².json", "step-٣.json", "step-007.json", "step--1.json", f"step-{'9' * 200}.json", "step-.json"):
        (tmp_path / name).write_text("{}")
    assert checkpoint.steps_on_disk(tmp_path) == [3]


def test_a_folder_that_is_a_file_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("")
    with pytest.raises(NotADirectoryError):
        checkpoint.latest_valid(tmp_path / "checkpoints", fits, lambda *_: None, owner=True)


def test_directories_and_links_in_the_folder_stay(tmp_path: Path) -> None:
    """What no trainer makes is not its to delete, and a link of a deleted name goes without what it leads to."""
    save(tmp_path, 1)
    (tmp_path / "step-4-00000000.pt").mkdir()
    (tmp_path / "notes.tmp").mkdir()
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.write_bytes(b"precious")
    (tmp_path / "step-5-00000000.pt").symlink_to(outside)
    checkpoint.tidy(tmp_path)
    assert (tmp_path / "step-4-00000000.pt").is_dir()
    assert (tmp_path / "notes.tmp").is_dir()
    assert outside.read_bytes() == b"precious"


class _Net(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.a = torch.nn.Linear(3, width)
        self.b = torch.nn.Linear(width, 1)


def trained(width: int) -> tuple[_Net, torch.optim.AdamW]:
    """A network with an optimiser that has a state."""
    model = _Net(width)
    update = torch.optim.AdamW(model.parameters())
    model.b(model.a(torch.ones(2, 3))).sum().backward()
    update.step()
    return model, update


def test_another_architecture_is_refused_before_anything_is_changed() -> None:
    model, update = trained(4)
    own = content(1) | {"model": model.state_dict(), "optimizer": update.state_dict()}
    check_fit(own, {"model": model}, update)
    wider, its = trained(5)
    with pytest.raises(DataError, match=r"another architecture .* such as a\.bias\); restore"):
        check_fit(own | {"model": wider.state_dict()}, {"model": model}, update)
    with pytest.raises(DataError, match="optimiser state is not of this run's weights"):
        check_fit(own | {"optimizer": its.state_dict()}, {"model": model}, update)
    with pytest.raises(DataError, match="has no ema"):
        check_fit(own, {"model": model, "ema": model}, update)
    unfit: list[dict[str, Any]] = [{}, {"state": {}, "param_groups": []}, {"state": [], "param_groups": "no"}]
    for junk in unfit:
        with pytest.raises(DataError, match="optimiser state"):
            check_fit(own | {"optimizer": junk}, {"model": model}, update)


JUNK = {
    "a list": [1, 2],
    "a number": 3,
    "numbers for names": {1: 2},
    "nothing": {},
    "no model": {name: value for name, value in content(2).items() if name != "model"},
    "no optimizer": {name: value for name, value in content(2).items() if name != "optimizer"},
    "no clock": {name: value for name, value in content(2).items() if name != "clock"},
    "a text for the step": content(2) | {"step": "2"},
    "another step": content(3),
    "a step below 0": content(2) | {"closed_epochs": -1},
    "true for the step": content(2) | {"closed_epochs": True},
    "a list for the weights": content(2) | {"model": [torch.ones(3)]},
    "a text among the weights": content(2) | {"model": {"w": "1.0"}},
    "weights without values": content(2) | {"model": {"w": torch.ones(3, device="meta")}},
    "sparse weights": content(2) | {"model": {"w": torch.eye(3).to_sparse()}},
    "a clock of other hands": content(2) | {"clock": {"trained": 1.0}},
    "a clock that says nan": content(2) | {"clock": {"trained": float("nan"), "epoch": 0.0, "aside": 0.0}},
    "a clock with parts of nothing": content(2) | {"clock": content(2)["clock"] | {"parts": {"lunch": 1.0}}},
    "a clock whose parts are none": content(2) | {"clock": content(2)["clock"] | {"parts": None}},
    "a clock with a part that says nan": content(2)
    | {"clock": content(2)["clock"] | {"parts": EpochSums().to_state() | {"wait": float("nan")}}},
    "no average": content(2) | {"ema": None},
}


@pytest.mark.parametrize("junk", JUNK)
def test_junk_with_a_right_digest_is_noticed_and_the_one_before_is_used(tmp_path: Path, junk: str) -> None:
    save(tmp_path, 1)
    buffer = io.BytesIO()
    torch.save(JUNK[junk], buffer)
    put(save(tmp_path, 2), buffer.getvalue())
    assert latest(tmp_path) == (1, ["checkpoint-damaged", "checkpoint-fallback"])
