"""Manifests are read without trust: what a person or a half-written disk made of one is a sentence, never a path."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.doctor.checkpoint_files import CONFIG, manifest_values, orphan, put_checkpoint_files
from trainer import manifest as module
from trainer.manifest import BadManifestError, fault_of, manifest_paths, read_manifest, run_folders

DATA = b"weights"


def write(runs: Path, content: bytes | dict[str, Any], step: int = 5) -> Path:
    """A manifest of step 5 of a run `a000000000`."""
    folder = runs / "a000000000" / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step}.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def test_what_a_trainer_wrote_is_read(runs: Path) -> None:
    run_id = orphan(runs, 5, knn_top1=0.5, reason="best", name="Größe 🎉", summary={"device": "CPU"})
    (path,) = manifest_paths(runs / run_id)
    found = read_manifest(path)
    assert (found.run_id, found.step, found.reason, found.knn_top1) == (run_id, 5, "best", 0.5)
    assert found.name == "Größe 🎉"
    assert found.config == CONFIG
    assert found.summary == {"device": "CPU"}
    assert fault_of(found) is None


def test_the_format_is_the_one_that_the_trainer_writes(tmp_path: Path) -> None:
    from trainer import checkpoint

    saved = checkpoint.save(tmp_path, {}, {"step": 1, "epoch": 1})
    assert json.loads(saved.manifest.read_bytes())["format"] == module.FORMAT


HOSTILE: dict[str, dict[str, Any]] = {
    "a path": {"file": "../../../etc/passwd"},
    "an absolute path": {"file": "/etc/passwd"},
    "a file of another step": {"file": "step-6-00000000.pt"},
    "no file": {"file": None},
    "another run": {"run_id": "b000000000"},
    "another step": {"step": 6},
    "a step below 0": {"step": -5},
    "a step that is true": {"step": True},
    "a step that SQLite can't hold": {"epoch": 2**70},
    "another format": {"format": 2},
    "control characters": {"name": "a\x1b[2Jb"},
    "a line break": {"name": "a\nb"},
    "half a character": {"name": "\ud800"},
    "a long name": {"name": "a" * 5000},
    "a name that is none": {"name": 7},
    "no digest": {"sha256": "x" * 64},
    "a short digest": {"sha256": "00"},
    "infinite": {"created_at": float("inf")},
    "not a number": {"knn_top1": float("nan")},
    "settings that are none": {"config": "[]"},
    "no settings": {"config": None},
    "an unknown setting": {"config": '{"never_heard_of": 1}'},
    "a setting out of bounds": {"config": '{"epochs": -1}'},
    "a setting of another kind": {"config": '{"epochs": {"a": 1}}'},
    "nested settings": {"config": "[" * 100_000},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_manifest_edited_by_hand_is_refused_in_a_sentence(runs: Path, name: str) -> None:
    path = write(runs, manifest_values("a000000000", 5, DATA, **HOSTILE[name]))
    with pytest.raises(BadManifestError) as caught:
        read_manifest(path)
    assert str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe\x00", b"[1]", b"null", b"[" * 500_000, b'{"step": ' + b"9" * 5000 + b"}", b"x" * (2 << 20)],
    ids=["empty", "cut", "no text", "a list", "null", "nested", "a huge number", "huge"],
)
def test_what_is_no_manifest_at_all_is_refused_in_a_sentence(runs: Path, content: bytes) -> None:
    with pytest.raises(BadManifestError):
        read_manifest(write(runs, content))


def test_a_change_behind_the_seal_is_noticed(runs: Path) -> None:
    values = manifest_values("a000000000", 5, DATA)
    read_manifest(write(runs, values))
    with pytest.raises(BadManifestError, match="not as it was written"):
        read_manifest(write(runs, values | {"epoch": 2}))


def test_links_and_pipes_are_not_followed(runs: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text(json.dumps(manifest_values("a000000000", 5, DATA)))
    path = write(runs, b"")
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(BadManifestError, match="is a link"):
        read_manifest(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BadManifestError, match="no plain file"):
        read_manifest(path)


def test_weights_that_are_a_link_are_not_read(runs: Path, tmp_path: Path) -> None:
    weights = put_checkpoint_files(runs, "a000000000", 5, data=DATA)
    (tmp_path / "elsewhere").write_bytes(DATA)
    weights.unlink()
    weights.symlink_to(tmp_path / "elsewhere")
    fault = fault_of(read_manifest(weights.parent / "step-5.json"))
    assert fault is not None
    assert "is a link" in fault


def flip_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (flip_bit, "not those that were written"),
        (lambda path: path.write_bytes(b""), "0 bytes"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "instead of"),
        (lambda path: path.write_bytes(bytes(len(path.read_bytes()))), "not those that were written"),
    ],
    ids=["a flipped bit", "empty", "truncated", "zeroed"],
)
def test_damaged_weights_are_noticed(runs: Path, harm: Any, words: str) -> None:
    weights = put_checkpoint_files(runs, "a000000000", 5)
    found = read_manifest(weights.parent / "step-5.json")
    harm(weights)
    fault = fault_of(found)
    assert fault is not None
    assert words in fault


def test_sizes_alone_would_not_notice_a_flipped_bit(runs: Path) -> None:
    weights = put_checkpoint_files(runs, "a000000000", 5)
    flip_bit(weights)
    assert fault_of(read_manifest(weights.parent / "step-5.json"), with_digest=False) is None


def test_only_folders_of_the_form_of_a_run_are_looked_into(runs: Path, tmp_path: Path) -> None:
    run_id = orphan(runs, 1)
    (runs / "backups").mkdir()
    (runs / ".trash").mkdir()
    (runs / "b00000000_").mkdir()
    (runs / "c000000000").write_text("a file")
    elsewhere = orphan(tmp_path / "elsewhere", 1)
    (runs / "d000000000").symlink_to(tmp_path / "elsewhere" / elsewhere)
    folders, passed_over = run_folders(runs)
    assert [folder.name for folder in folders] == [run_id]
    assert len(passed_over) == 1
    assert passed_over[0].startswith("d000000000 is a link")


def test_checkpoints_that_are_a_link_are_not_listed(runs: Path, tmp_path: Path) -> None:
    elsewhere = orphan(tmp_path / "elsewhere", 1)
    (runs / "a000000000").mkdir(parents=True)
    (runs / "a000000000" / "checkpoints").symlink_to(tmp_path / "elsewhere" / elsewhere / "checkpoints")
    with pytest.raises(OSError, match="is a link"):
        manifest_paths(runs / "a000000000")


def test_manifests_come_newest_first_whatever_lies_beside_them(runs: Path) -> None:
    run_id = orphan(runs, 2, 10, 9)
    folder = runs / run_id / "checkpoints"
    for name in ("step-11.json.damaged", "step-012.json", "step--3.json", "step-x.json", "step-13.json.tmp"):
        (folder / name).write_text("{}")
    assert [path.name for path in manifest_paths(runs / run_id)] == ["step-10.json", "step-9.json", "step-2.json"]
