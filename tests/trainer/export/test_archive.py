"""A run as one archive: what another store has of it afterwards is what this one had, and nothing bad gets in."""

import dataclasses
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.processes import finishes
from tests.simclr_tui.support import Holder, add_run
from tests.trainer.export.filled import STEPS, filled_run
from trainer.adding import AddingStore
from trainer.errors import StoreVersionError, TrainerError, UsageError
from trainer.export.archive import write_archive
from trainer.export.archive_form import is_member_name
from trainer.export.importing import import_archive
from trainer.manifest import fault_of, manifest_paths, read_manifest
from trainer.paths import run_dir
from trainer.seal import sealed
from trainer.store import RunStore
from trainer.store.labels import labels_of
from trainer.store.pages import KEYS, pages

Members = dict[str, bytes]


@dataclasses.dataclass(frozen=True)
class Made:
    """A store with a run that has a row in every table, and the archive of that run."""

    store: RunStore
    run_id: str
    data: bytes


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Made]:
    """Made once, and only looked at."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "runs").mkdir()
    shutil.copyfile(empty_store, folder / "runs" / "runs.db")
    with closing(RunStore.open(folder / "runs")) as opened:
        run_id = filled_run(opened)
        write_archive(opened, opened.run(run_id), folder / "first.tar", force=False)
        yield Made(opened, run_id, (folder / "first.tar").read_bytes())


@pytest.fixture
def other(tmp_path: Path, empty_store: Path) -> Iterator[AddingStore]:
    """The store of another machine."""
    (tmp_path / "other").mkdir()
    shutil.copyfile(empty_store, tmp_path / "other" / "runs.db")
    with closing(AddingStore.open(tmp_path / "other")) as opened:
        yield opened


@pytest.fixture
def run_id(made: Made) -> str:
    """The run in the archive."""
    return made.run_id


@pytest.fixture
def archive(made: Made, tmp_path: Path) -> Path:
    """The archive, for this test alone."""
    (tmp_path / "first.tar").write_bytes(made.data)
    return tmp_path / "first.tar"


def rows(store: RunStore, table: str, run_id: str) -> list[tuple[Any, ...]]:
    return [row for page in pages(store, table, run_id) for row in page]


def buckets(store: RunStore, run_id: str) -> list[tuple[Any, ...]]:
    query = "SELECT name, size, bucket, min, max, mean, last, count FROM buckets WHERE run_id = ? ORDER BY 1, 2, 3"
    return [tuple(row) for row in store.connection.execute(query, (run_id,))]


def everything(store: RunStore) -> str:
    """All rows of a store, and the files of its runs."""
    files = [path for path in store.runs_path.rglob("*") if path.is_file() and path.parent != store.runs_path]
    dump = "\n".join(store.connection.iterdump())
    return dump + "".join(f"{path}{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in sorted(files))


def members(archive: Path) -> Members:
    with tarfile.open(archive) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]


def packed(archive: Path, found: Members, *, reseal: bool = True) -> Path:
    """An archive of some members, whose list is made anew to fit what they are."""
    contents = json.loads(found["archive.json"])
    if reseal:
        known = {one["name"]: one for one in contents["members"]}
        contents["members"] = [
            known.get(name, {"name": name}) | {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in found.items()
            if name != "archive.json"
        ]
        del contents["check"]
        found = {**found, "archive.json": json.dumps(sealed(contents)).encode()}
    forged = archive.with_name("forged.tar")
    with tarfile.open(forged, "w") as tar:
        for name, data in found.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return forged


def test_the_other_store_has_every_row_and_every_file(
    made: Made, other: AddingStore, run_id: str, archive: Path
) -> None:
    store = made.store
    found = import_archive(other, archive)
    assert (found.run_id, found.name, found.steps, found.checkpoints) == (run_id, "first", STEPS, 2)
    for table in KEYS:
        mine, theirs = rows(store, table, run_id), rows(other, table, run_id)
        if table == "events":
            assert [row[2] for row in theirs[len(mine) :]] == ["imported"]
            theirs = theirs[: len(mine)]
        assert sorted(map(repr, theirs)) == sorted(map(repr, mine)), table
    assert buckets(other, run_id) == buckets(store, run_id)
    mine_row, their_row = store.run(run_id), other.run(run_id)
    of_process: dict[str, Any] = {
        "host": None,
        "boot_id": None,
        "pid": None,
        "start_ticks": None,
        "alive_at": None,
        "phase": None,
    }
    assert their_row == dataclasses.replace(mine_row, **of_process)
    assert labels_of(other, run_id) == labels_of(store, run_id)
    here, there = run_dir(store.runs_path, run_id), run_dir(other.runs_path, run_id)
    names = sorted(str(path.relative_to(there)) for path in there.rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(here)) for path in here.rglob("*") if path.is_file())
    assert all((here / name).read_bytes() == (there / name).read_bytes() for name in names)
    assert [fault_of(read_manifest(path)) for path in manifest_paths(there)] == [None, None]
    assert not list(other.runs_path.glob(".import-*"))


def test_samples_of_long_ago_are_not_taken_for_what_the_device_does_now(other: AddingStore, archive: Path) -> None:
    mine = filled_run(other, name="mine")
    other.beat(mine, {"source": "cpu", "gpu_util": 42.0})
    import_archive(other, archive)
    latest = other.latest_device_sample()
    assert latest is not None
    assert (latest["run_id"], latest["gpu_util"]) == (mine, 42.0)


def test_a_run_that_is_there_is_left_as_it_is(other: AddingStore, archive: Path) -> None:
    import_archive(other, archive)
    before = everything(other)
    with pytest.raises(UsageError, match="is there already, as first"):
        import_archive(other, archive)
    assert everything(other) == before


def test_another_name_is_given_at_the_import(other: AddingStore, archive: Path, run_id: str) -> None:
    assert import_archive(other, archive, name=" theirs ").name == "theirs"
    assert other.run(run_id).name == "theirs"


def test_any_flipped_byte_is_noticed_and_leaves_nothing(other: AddingStore, archive: Path) -> None:
    """Where every byte matters: in names, sizes and contents; padding between members says nothing."""
    before, data = everything(other), archive.read_bytes()
    with tarfile.open(archive) as tar:
        places = [(info.name, info.offset_data, info.size) for info in tar if info.size]
    for name, start, size in places:
        for at in (start if name == "archive.json" else start + size // 2,):
            archive.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            with pytest.raises(TrainerError) as caught:
                import_archive(other, archive)
            assert "is damaged (" in str(caught.value) or "is no archive" in str(caught.value), name
    assert everything(other) == before


def test_an_archive_that_ends_too_early_is_refused_wherever_it_ends(other: AddingStore, archive: Path) -> None:
    before, data = everything(other), archive.read_bytes()
    with tarfile.open(archive) as tar:
        end = max(info.offset_data + info.size for info in tar)
    for length in (0, 100, 511, 512, 1000, end // 3, end // 2, end - 600, end - 1):
        archive.write_bytes(data[:length])
        with pytest.raises(TrainerError):
            import_archive(other, archive)
    assert everything(other) == before


HOSTILE: dict[str, Callable[[Members, str], Members]] = {
    "a path that leads out": lambda found, run_id: found | {"files/../../evil": b"x"},
    "a path from the root": lambda found, run_id: found | {"/etc/evil": b"x"},
    "another path from the root": lambda found, run_id: found | {"files//etc/evil": b"x"},
    "a path of another system": lambda found, run_id: found | {"files/evaluations/..\\..\\evil": b"x"},
    "the lock of the run": lambda found, run_id: found | {"files/run.lock": b"x"},
    "a table that is none of runs": lambda found, run_id: found | {"rows/queue.jsonl": b"{}\n"},
    "a text where a number is": lambda found, run_id: edited(found, "steps", 3, loss="high"),
    "a step that is none": lambda found, run_id: edited(found, "steps", 3, step=None),
    "a step of nought": lambda found, run_id: edited(found, "steps", 3, step=0),
    "a number beyond SQLite's": lambda found, run_id: edited(found, "epochs", 0, epoch=2**63),
    "a truth": lambda found, run_id: edited(found, "epochs", 0, val_loss=True),
    "an unknown column": lambda found, run_id: edited(found, "epochs", 0, evil=1),
    "a checkpoint elsewhere": lambda found, run_id: edited(found, "checkpoints", 0, path="../../etc/passwd"),
    "an artifact elsewhere": lambda found, run_id: edited(found, "artifacts", 0, path=f"{run_id}/../other/x"),
    "an artifact of another digest": lambda found, run_id: edited(found, "artifacts", 0, sha256="0" * 64),
    "a label of a run in the trash": lambda found, run_id: edited(found, "annotations", 0, key="trashed", value=""),
    "a tag of two words": lambda found, run_id: edited(found, "annotations", 0, key="tag", value="two words"),
    "a row that is a list": lambda found, run_id: found | {"rows/steps.jsonl": b"[1]\n"},
    "a row that is nested deeply": lambda found, run_id: found | {"rows/steps.jsonl": b"[" * 100_000 + b"\n"},
    "a run without an id": lambda found, run_id: with_run(found, id="../../x"),
    "a run of a lifecycle that is none": lambda found, run_id: with_run(found, lifecycle="evil"),
    "a run whose name drives a terminal": lambda found, run_id: with_run(found, name="\x1b[2J"),
    "a run whose settings are none": lambda found, run_id: with_run(found, config="[]"),
    "a run with a step that is a text": lambda found, run_id: with_run(found, step="7"),
    "a manifest of another run": lambda found, run_id: {
        name: data.replace(run_id.encode(), b"0123456789") if name.endswith("step-20.json") else data
        for name, data in found.items()
    },
    "a manifest without its weights": lambda found, run_id: {
        name: data for name, data in edited(found, "checkpoints", 0, drop=True).items() if "step-20-" not in name
    },
}
"""What somebody could make of an archive whose hashes all fit."""


def edited(found: Members, table: str, number: int, *, drop: bool = False, **values: Any) -> Members:
    """With other values in one row of a table, or without it."""
    name = f"rows/{table}.jsonl"
    lines = [json.loads(line) for line in found[name].splitlines()]
    if drop:
        del lines[number]
    else:
        lines[number] |= values
    return found | {name: "".join(json.dumps(line) + "\n" for line in lines).encode()}


def with_run(found: Members, **values: Any) -> Members:
    """With other columns of the run."""
    contents = json.loads(found["archive.json"])
    contents["run"] |= values
    return found | {"archive.json": json.dumps(contents).encode()}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_made_to_harm_is_refused_and_leaves_nothing(
    other: AddingStore, archive: Path, run_id: str, tmp_path: Path, what: str
) -> None:
    before, around = everything(other), sorted(tmp_path.rglob("*"))
    forged = packed(archive, HOSTILE[what](members(archive), run_id))
    with pytest.raises(TrainerError, match=r"is damaged \(.*\), so nothing was imported"):
        import_archive(other, forged)
    assert everything(other) == before
    forged.unlink()
    left = set(tmp_path.rglob("*")) - set(around)
    assert {path.name for path in left} <= {"import.lock", "runs.db-wal", "runs.db-shm", "runs.write.lock"}


def test_the_same_archive_without_harm_is_taken(other: AddingStore, archive: Path, run_id: str) -> None:
    """The negative control: it is what was changed that is refused, and not the packing."""
    forged = packed(archive, members(archive))
    assert import_archive(other, forged).run_id == run_id


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE])
def test_members_that_are_no_plain_files_are_refused(
    other: AddingStore, archive: Path, kind: bytes, run_id: str
) -> None:
    found = members(archive)
    with tarfile.open(archive, "w") as tar:
        for name, data in found.items():
            info = tarfile.TarInfo(name)
            if name == "files/log.txt":
                info.type, info.linkname = kind, "/etc/passwd"
                tar.addfile(info)
                continue
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with pytest.raises(TrainerError, match="that its list does not name as a file"):
        import_archive(other, archive)
    assert other.runs() == []
    assert not run_dir(other.runs_path, run_id).exists()


def test_a_member_that_is_there_twice_or_that_no_list_names_is_refused(other: AddingStore, archive: Path) -> None:
    whole = archive.read_bytes()
    for name in ("files/log.txt", "files/evaluations/more"):
        archive.write_bytes(whole)
        with tarfile.open(archive, "a") as tar:
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"new"))
        with pytest.raises(TrainerError, match="that its list does not name"):
            import_archive(other, archive)
    assert other.runs() == []


@pytest.mark.parametrize("what", ["format", "schema"])
def test_an_archive_of_a_newer_version_is_refused(other: AddingStore, archive: Path, what: str) -> None:
    found = members(archive)
    contents = json.loads(found["archive.json"]) | {what: 99}
    forged = packed(archive, found | {"archive.json": json.dumps(contents).encode()})
    with pytest.raises(StoreVersionError, match="was made by a newer version of simclr-tui; upgrade simclr-tui"):
        import_archive(other, forged)


def test_other_files_are_no_archives(other: AddingStore, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a tar " * 200)
    with tarfile.open(tmp_path / "plain.tar", "w") as tar:
        tar.add(tmp_path / "text", "text")
    for name in ("text", "plain.tar"):
        with pytest.raises(TrainerError):
            import_archive(other, tmp_path / name)
    with pytest.raises(UsageError, match="can't be read"):
        import_archive(other, tmp_path / "missing.tar")


def test_names_of_members_are_judged_one_by_one() -> None:
    good = (
        "rows/steps.jsonl",
        "files/log.txt",
        "files/checkpoints/step-1.json",
        "files/evaluations/step-1/folder-x/a.json",
    )
    assert all(map(is_member_name, good))
    bad: tuple[str, ...] = (
        "rows/runs.jsonl",
        "rows/../steps.jsonl",
        "files/",
        "files/checkpoints/",
        "files/checkpoints/..",
        "files/a/b",
    )
    bad += (
        "files/evaluations/a\nb",
        "files/evaluations/./x",
        "files/log.txt/x",
        "log.txt",
        "",
        "files/evaluations/" + "x" * 300,
    )
    assert not any(map(is_member_name, bad))


def test_a_live_run_and_one_in_the_trash_are_not_packed(store: RunStore, tmp_path: Path) -> None:
    run_id = add_run(store, "first", steps=3)
    with Holder(store.runs_path, run_id), pytest.raises(UsageError, match="pause it first"):
        write_archive(store, store.run(run_id), tmp_path / "x.tar", force=False)
    from trainer.trash import put

    store.lifecycle(run_id, "paused", "paused by a test")
    put(store, run_id)
    with pytest.raises(UsageError, match="is in the trash"):
        write_archive(store, store.run(run_id), tmp_path / "x.tar", force=False)
    assert not list(tmp_path.glob("*x.tar*"))


def test_a_damaged_checkpoint_is_left_out_and_said(store: RunStore, other: AddingStore, tmp_path: Path) -> None:
    run_id = filled_run(store)
    weights = next(run_dir(store.runs_path, run_id).glob("checkpoints/step-20-*.pt"))
    weights.write_bytes(b"X" + weights.read_bytes()[1:])
    (run_dir(store.runs_path, run_id) / "evaluations" / "step-30" / "map.json").unlink()
    found = write_archive(store, store.run(run_id), tmp_path / "x.tar", force=False)
    assert found.checkpoints == 1
    assert [sentence.partition(",")[0] for sentence in found.left_out] == [
        "the checkpoint of step 20",
        "step-30/map.json",
    ]
    imported = import_archive(other, tmp_path / "x.tar")
    assert imported.left_out == tuple(found.left_out)
    assert [row.step for row in other.checkpoints(run_id)] == [40]
    assert other.artifacts(run_id) == []


def test_killed_at_any_write_it_leaves_no_run_and_the_next_import_is_whole(
    made: Made, other: AddingStore, run_id: str, archive: Path, tmp_path: Path
) -> None:
    store, runs = made.store, tmp_path / "killed"
    shutil.copytree(other.runs_path, runs)

    def prepare() -> Callable[[], object]:
        fresh = AddingStore.open(runs)
        return lambda: import_archive(fresh, archive)

    number, deaths = 1, 0
    while not finishes(prepare, number, lambda event, about: event in ("os.mkdir", "os.rename", "open", "os.rmdir")):
        deaths += 1
        number += 16
        with closing(AddingStore.open(runs)) as there:
            known = {run.id for run in there.runs()}
            if known:  # it was killed while it cleared away what it needs no more
                assert rows(there, "steps", run_id) == rows(store, "steps", run_id)
                assert run_dir(runs, run_id).is_dir()
                break
            import_archive(there, archive)
            assert rows(there, "steps", run_id) == rows(store, "steps", run_id)
            assert buckets(there, run_id) == buckets(store, run_id)
            assert not list(runs.glob(".import-*"))
        shutil.rmtree(runs)
        shutil.copytree(other.runs_path, runs)
    assert deaths > 3
