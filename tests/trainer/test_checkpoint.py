"""Checkpoints: written whole or not at all, and believed only when every byte is right."""

import errno
import json
import os
import pickle
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from trainer import checkpoint

DIGEST = "d" * 64


def save(folder: Path, step: int) -> checkpoint.Saved:
    """A small checkpoint that knows its step."""
    payload = {"model": {"w": torch.full((100,), float(step))}, "step": step}
    return checkpoint.save(folder, payload, {"step": step, "epoch": 1, "config_digest": DIGEST})


def latest(folder: Path) -> tuple[int, list[str]]:
    """The step that a resume would take, and what was reported."""
    said: list[str] = []
    found = checkpoint.latest_valid(folder, DIGEST, lambda kind, _message: said.append(kind))
    assert found is not None
    assert float(found[0]["model"]["w"][0]) == found[0]["step"]
    return found[0]["step"], said


def test_what_is_saved_is_loaded_bit_for_bit(tmp_path: Path) -> None:
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    checkpoint.save(tmp_path, {"w": values, "n": 3}, {"step": 7, "epoch": 1, "config_digest": DIGEST})
    payload, manifest = checkpoint.load(tmp_path, 7, DIGEST)
    assert torch.equal(payload["w"], values)
    assert payload["n"] == 3
    assert manifest["bytes"] == (tmp_path / "step-7.pt").stat().st_size


def test_no_checkpoint_is_no_error_and_the_newest_is_taken(tmp_path: Path) -> None:
    assert checkpoint.latest_valid(tmp_path, DIGEST, print) is None
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
    path.with_suffix(".json").write_bytes(other)


def _other_config(path: Path) -> None:
    manifest = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(manifest | {"config_digest": "e" * 64}))


def _other_format(path: Path) -> None:
    manifest = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(manifest | {"format": 999}))


def _garble_manifest(path: Path) -> None:
    path.with_suffix(".json").write_text("{ no json")


DAMAGES = [
    _truncate,
    _flip_a_bit,
    _zero_a_page,
    _empty,
    _swap_manifests,
    _other_config,
    _other_format,
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
    with pytest.raises(ValueError, match="none of 1 checkpoints verifies"):
        checkpoint.latest_valid(tmp_path, DIGEST, lambda *_: None)


class _Attack:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.target),))


def test_a_pickle_that_would_run_code_runs_none(tmp_path: Path) -> None:
    """Its digest is right, as an attacker's would be; loading is what refuses it."""
    target = tmp_path / "attacked"
    saved = save(tmp_path, 2)
    for data in (pickle.dumps(_Attack(target)), _zipped(_Attack(target), tmp_path)):
        saved.path.write_bytes(data)
        import hashlib

        manifest = json.loads(saved.path.with_suffix(".json").read_text())
        manifest |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        saved.path.with_suffix(".json").write_text(json.dumps(manifest))
        with pytest.raises(ValueError, match="cannot be loaded"):
            checkpoint.load(tmp_path, 2, DIGEST)
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
    save(tmp_path, 2).path.with_suffix(".json").unlink()
    assert latest(tmp_path) == (1, [])


def test_a_real_full_disk_says_no_space(tmp_path: Path) -> None:
    """/dev/full is a disk without space that any machine has."""
    (tmp_path / "step-3.pt.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        save(tmp_path, 3)
    assert checkpoint.steps_on_disk(tmp_path) == []


def test_a_removed_checkpoint_is_gone_with_its_manifest(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    checkpoint.remove(tmp_path, 1)
    assert checkpoint.steps_on_disk(tmp_path) == [2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-2.json", "step-2.pt"]
