"""Names, settings, image files and stores that nobody should trust: refused in a sentence, or taken rightly.

Nothing leads out of the runs folder, nothing is written into another program's database, and one spoilt run leaves the
others usable.
"""

import dataclasses
import errno
import hashlib
import json
import os
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from simclr_tui.__main__ import main
from trainer import run as trainer_run
from trainer.config import PretrainConfig
from trainer.data import folder
from trainer.data.decode import LARGEST_PIXELS, try_decode
from trainer.errors import TrainerError, UnknownRunError, UsageError
from trainer.paths import check_runs_dir, checkpoint_dir, lock_file, log_file, make_runs_dir, run_dir, runs_dir
from trainer.settings import fields_of, parse
from trainer.start import new_pretrain_run
from trainer.store import RunStore, StoreReader

FEW = 200
MANY = 2000

AWKWARD = [
    "",
    ".",
    "..",
    "../x",
    "../../etc/passwd",
    "/etc/passwd",
    "a/../../b",
    "..\\..\\x",
    "C:\\x",
    "%2e%2e%2f",
    "%252e%252e%252fx",
    "..%c0%af",
    "~",
    "~root",
    "~nobody-of-that-name",
    "\0",
    "abcdefghij\0",
    "abcdefghij\n",
    "ABCDEFGHIJ",
    "abcdefghi\u0301",
    "\u202egnp.exe",
    "\u2028",
    "\ud800",
    "\udcff\udcfe",
    "\x1b[31mred\x1b[0m",
    "a\rb",
    "\ufeffabcdefghij",
    "-rf",
    "--run",
    "$(touch x)",
    "`touch x`",
    "'; DROP TABLE runs; --",
    "[bold]x[/bold]",
    "e" + "\u0301" * 100_000,
    "x" * 1_000_000,
    "\u3000" * 30,
    "CON",
    "runs.db",
    "runs.db-wal",
]

texts = st.one_of(
    st.text(),
    st.text(alphabet="./\\%~:2ef5c\0\n"),
    st.text(alphabet=st.characters(categories=["Cc", "Cf", "Cs", "Co", "Mn", "Zl", "Zp"])),
    st.from_regex(r"[0-9a-z]{10}", fullmatch=True),
    st.builds("{}{}".format, st.sampled_from(["../", "..\\", "/", "%2e%2e/", "\udcff"]), st.text()),
)


@pytest.fixture(scope="module")
def box() -> Iterator[Path]:
    """A folder with a runs folder in it, of which nothing may be touched but that."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def inventory(box: Path) -> set[str]:
    """Everything in a box outside of the runs folder."""
    return {str(path) for path in box.rglob("*") if "runs" not in path.relative_to(box).parts}


def try_name(box: Path, store: RunStore, text: str) -> None:
    """A text in every place where a run is named or a name is given."""
    runs = box / "runs"
    for path_of in (run_dir, lock_file, log_file, checkpoint_dir):
        try:
            path = path_of(runs, text)
        except UnknownRunError as error:
            assert_sentence(error)
        else:
            assert path.is_relative_to(runs)
            assert len(path.relative_to(runs).parts[0]) == 10
    try:
        found = store.find(text)
    except UnknownRunError as error:
        assert_sentence(error)
    else:
        assert text in (found.id, found.name) or found.id.startswith(text)
    before = {run.id for run in store.runs()}
    try:
        run_id = new_pretrain_run(store, PretrainConfig(dataset="shapes"), name=text)
    except UsageError as error:
        assert_sentence(error)
        assert {run.id for run in store.runs()} == before
    else:
        assert run_dir(runs, run_id).parent == runs
        assert store.run(run_id).name.isprintable()
        with store._write() as connection:
            connection.execute("DELETE FROM runs WHERE id = ?", (run_id,))
        run_dir(runs, run_id).rmdir()


def assert_sentence(error: TrainerError) -> None:
    """One line that can be shown, not longer than a person reads."""
    assert str(error).isprintable(), repr(str(error))
    assert 10 < len(str(error)) < 500


def try_names(box: Path, count: int) -> None:
    """So many arbitrary texts, and those that are known to be awkward."""
    runs = box / "runs"
    store = RunStore.open(runs)
    outside = inventory(box)

    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(texts)
    def attempt(text: str) -> None:
        try_name(box, store, text)

    for text in AWKWARD:
        attempt = example(text)(attempt)
    attempt()
    assert inventory(box) == outside
    listed = {path.name for path in runs.iterdir()}
    assert listed <= {"runs.db", "runs.db-wal", "runs.db-shm", "runs.lock", "runs.write.lock"}
    store.close()


@pytest.mark.timeout(300)
def test_no_name_leaves_the_runs_folder(box: Path) -> None:
    try_names(box, FEW)


@pytest.mark.reliability
@pytest.mark.timeout(600)
def test_two_thousand_names_do_not_leave_the_runs_folder(box: Path) -> None:
    try_names(box, MANY)


def test_joining_a_name_to_a_folder_would_leave_it(box: Path) -> None:
    """The negative control: the naive way fails the same look."""
    assert any(not (box / "runs" / text).resolve().is_relative_to(box / "runs") for text in AWKWARD if "\0" not in text)


def test_a_run_folder_that_is_a_link_is_refused_wherever_it_leads(tmp_path: Path) -> None:
    (tmp_path / "runs" / "bbbbbbbbbb").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for target in ("../elsewhere", "bbbbbbbbbb", "aaaaaaaaaa", "nowhere"):
        (tmp_path / "runs" / "aaaaaaaaaa").symlink_to(target)
        with pytest.raises(UnknownRunError, match="is a link"):
            run_dir(tmp_path / "runs", "aaaaaaaaaa")
        (tmp_path / "runs" / "aaaaaaaaaa").unlink()


@pytest.mark.parametrize("text", ["a\0b", "x" * 5000, "a/" * 3000, "~nobody-of-that-name/runs", "\udcff\0"])
def test_a_runs_folder_that_can_not_be_is_told(text: str) -> None:
    for use in (lambda path: make_runs_dir(path), lambda path: check_runs_dir(path)):
        with pytest.raises(TrainerError) as caught:
            use(runs_dir(text))
        assert_sentence(caught.value)


def command(*words: str | bytes) -> subprocess.CompletedProcess[bytes]:
    """A command in a process of its own, with arguments of any bytes."""
    line = [sys.executable, "-m", "simclr_tui", *words]
    return subprocess.run(line, capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=90)


@pytest.mark.timeout(300)
def test_arguments_that_are_no_text_are_refused_in_a_sentence(tmp_path: Path) -> None:
    RunStore.open(tmp_path).close()
    at = ["--runs-dir", str(tmp_path)]
    for words in (
        [*at, "show", b"\xff\xfe"],
        [*at, "launch", "--name", b"\xff"],
        [*at, "launch", b"--\xff\x1b[31m", "1"],
        [*at, "launch", "--dataset", b"folder:/\xff"],
        [*at, "launch", "--learning-rate", "9" * 5000],
    ):
        done = command(*words)
        assert done.returncode == 2, done
        assert b"Traceback" not in done.stderr
        assert done.stderr.count(b"\n") == 1, done.stderr
        assert b"\x1b" not in done.stderr
        assert len(done.stderr) < 500


HOSTILE_VALUES = [
    "",
    " ",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "-1",
    "9" * 5000,
    "1_000_000_000_000",
    "0x10",
    "٣",
    "1;2",
    "true",
    "None",
    "[1]",
    "{}",
    "../../x",
    "\x1b[31m",
    "\udcff",
    "\0",
    "x" * 1_000_000,
    "folder:",
    "folder:\0",
    "folder:/dev/null",
    "timm:",
    "timm:../../x",
    "cuda:-1",
    "cuda:²",
    "70,,90",
    "90,70",
    "1e3",
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("field", fields_of(PretrainConfig), ids=lambda field: field.name)
def test_a_hostile_value_of_any_setting_is_a_sentence_or_within_bounds(field: Any) -> None:
    for text in HOSTILE_VALUES:
        try:
            value = parse(field, text)
            config = dataclasses.replace(PretrainConfig(), **{field.name: value})
            dataset, data_dir = (getattr(config, name) for name in ("dataset", "data_dir"))
        except UsageError as error:
            assert_sentence(error)
            continue
        if field.kind in (int, float):
            assert field.setting.low is None or value >= field.setting.low
            assert field.setting.high is None or value <= field.setting.high
        assert isinstance(dataset + data_dir, str)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(path: Path, side: int) -> None:
    """A PNG of a few hundred bytes that claims so many pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(bytes(1000))) + _chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def _saved(path: Path, mode: str = "RGB", **options: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, **options)


def _truncated(path: Path) -> None:
    _saved(path)
    os.truncate(path, path.stat().st_size // 2)


def _long_exif(path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 60_000
    exif[0x0112] = 6
    _saved(path, exif=exif)


def _animated(path: Path) -> None:
    frames = [Image.new("RGB", (40, 48), colour) for colour in ("red", "green", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def _palette(path: Path) -> None:
    _saved(path, "P", transparency=0)


def _sixteen_bit(path: Path) -> None:
    Image.fromarray(np.full((40, 48), 40_000, dtype=np.uint16)).save(path)


def _heic(path: Path) -> None:
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(1000))


def _unreadable(path: Path) -> None:
    _saved(path)
    path.chmod(0)


GOOD: dict[str, Callable[[Path], None]] = {
    "cmyk.jpg": lambda path: _saved(path, "CMYK"),
    "grey.png": lambda path: _saved(path, "L"),
    "bits.png": lambda path: _saved(path, "1"),
    "rgba.png": lambda path: _saved(path, "RGBA"),
    "la.png": lambda path: _saved(path, "LA"),
    "palette.gif": _palette,
    "palette.png": _palette,
    "sixteen.png": _sixteen_bit,
    "moving.gif": _animated,
    "moving.webp": _animated,
    "exif.jpg": _long_exif,
    "\udcff\n\x1b[31m.png": _saved,
}
BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "half.jpg": (_truncated, ""),
    "half.png": (_truncated, ""),
    "half.webp": (_truncated, ""),
    "half.gif": (lambda path: path.write_bytes(b"GIF89a\x30"), ""),
    "bomb.png": (lambda path: _png(path, 50_000), "million pixels"),
    "large.png": (lambda path: _png(path, int(LARGEST_PIXELS**0.5) + 10), "million pixels"),
    "lying.png": (lambda path: _png(path, 3000), ""),
    "empty.jpg": (lambda path: path.write_bytes(b""), "empty"),
    "zeros.jpg": (lambda path: path.write_bytes(bytes(1000)), "no image"),
    "text.jpg": (lambda path: path.write_text("not an image"), "no image"),
    "script.svg.png": (lambda path: path.write_text("<svg onload='x'/>"), "no image"),
    "heic.jpg": (_heic, "no image"),
    "pipe.jpg": (os.mkfifo, "no plain file"),
    "loop.jpg": (lambda path: path.symlink_to(path), "symbolic links"),
    "gone.jpg": (lambda path: path.symlink_to("nowhere"), "No such file"),
    "zero.jpg": (lambda path: path.symlink_to("/dev/zero"), "no plain file"),
    "float.tif": (lambda path: Image.fromarray(np.ones((40, 48), np.float32)).save(path), "32-bit"),
}


@pytest.mark.timeout(60)
def test_every_kind_of_image_file_is_taken_rightly_or_told_by_name(tmp_path: Path) -> None:
    """Beside them lie a folder that is called like an image, a folder that leads back to itself, and a HEIC file."""
    place = tmp_path / "train" / "a"
    place.mkdir(parents=True)
    for name, make in GOOD.items():
        make(place / name)
    for name, (spoil, _) in BAD.items():
        spoil(place / name)
    (place / "folder.jpg").mkdir()
    (place / "around").symlink_to("..")
    _heic(place / "phone.HEIC")
    told: list[str] = []
    split = folder.open_split(
        tmp_path, "train", 16, limit=0, in_memory=False, shared=False, report=lambda _, words: told.append(words)
    )
    assert len(split) == len(GOOD)
    assert split.images.take(range(len(GOOD))).shape == (len(GOOD), 3, 16, 16)
    assert all(words.isprintable() and len(words) < 600 for words in told)
    for name, (_, reason) in BAD.items():
        (words,) = [words for words in told if f"/{name} is left out" in words]
        assert reason in words
    (heic,) = [words for words in told if "phone.HEIC" in words]
    assert "convert it to JPEG or PNG" in heic
    assert len(told) == len(BAD) + 1
    assert len(folder.fingerprint(tmp_path)) == 64


@pytest.mark.reliability
def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    """In a process whose memory is limited to less than a hundredth of what it claims to have."""
    _png(tmp_path / "bomb.png", 50_000)
    program = (
        "import resource, sys; from pathlib import Path; from trainer.data.decode import try_decode\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), used + (64 << 20)))\n"
        "print(try_decode(Path(sys.argv[1]), 16))"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "bomb.png"], capture_output=True, text=True)
    assert "million pixels" in done.stdout, done


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_image_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    _unreadable(tmp_path / "a.jpg")
    assert try_decode(tmp_path / "a.jpg", 16) == os.strerror(errno.EACCES)


SPOILT_SETTINGS: dict[str, Any] = {
    "no JSON": "{",
    "empty": "",
    "missing": None,
    "a number": 7,
    "bytes": b"\xff\xfe",
    "a list": "[1, 2]",
    "a text": '"epochs"',
    "null": "null",
    "nested": "[" * 100_000,
    "an unknown setting": '{"unheard_of": 1}',
    "a wrong type": '{"epochs": "7", "batch_size": [1], "method": 3, "what": {}, "dataset": null}',
    "nan": '{"learning_rate": NaN, "views": NaN}',
    "infinite": '{"temperature": 1e999}',
    "huge": '{"epochs": 1' + "0" * 400 + ', "views": -5, "knn_every": 1' + "0" * 5000 + "}",
    "out of bounds": '{"epochs": -1, "views": 0, "threads": 1000000000}',
    "escapes": '{"dataset": "folder:\\u001b[31m\\udcff\\u0000"}',
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("spoilt", SPOILT_SETTINGS)
def test_settings_that_were_edited_by_hand_spoil_no_other_run(
    runs: Path, spoilt: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = RunStore.open(runs)
    good = new_pretrain_run(store, PretrainConfig(dataset="shapes"), name="good")
    bad = new_pretrain_run(store, PretrainConfig(dataset="shapes"), name="bad")
    with store._write() as connection:
        connection.execute("UPDATE runs SET config = ? WHERE id = ?", (SPOILT_SETTINGS[spoilt], bad))
    at = ["--runs-dir", str(runs)]
    assert main([*at, "ls"]) == 0
    listed = capsys.readouterr().out
    assert "good" in listed
    assert "bad" in listed
    for words in (["ls", "--json"], ["show", good], ["show", bad], ["show", bad, "--json"]):
        assert main([*at, *words]) == 0, words
        capsys.readouterr()
    reader = StoreReader.open(runs)
    assert {run.name for run in reader.runs()} == {"good", "bad"}
    reader.close()
    code = trainer_run.main([*at, "--run", bad])
    said = capsys.readouterr()
    assert code in (1, 2)
    assert "Traceback" not in said.err + said.out
    assert "stored settings can't be used" in said.err
    assert said.err.strip().splitlines()[-1].startswith("trainer: ")
    assert store.run(good).lifecycle == "created"
    store.close()


@pytest.mark.parametrize("spoilt", SPOILT_SETTINGS)
def test_the_dashboards_feed_shows_a_run_whose_settings_are_spoilt(runs: Path, spoilt: str) -> None:
    from simclr_tui.model import RunRow, setting
    from simclr_tui.objective import accuracy_chance, loss_chance, method_of
    from simclr_tui.run.changed_settings import changed_settings
    from simclr_tui.words import settings_words

    store = RunStore.open(runs)
    bad = new_pretrain_run(store, PretrainConfig(dataset="shapes"), name="bad")
    with store._write() as connection:
        connection.execute("UPDATE runs SET config = ? WHERE id = ?", (SPOILT_SETTINGS[spoilt], bad))
    run = store.run(bad)
    row = RunRow(run, "queued", 0)
    assert isinstance(settings_words(row), str)
    assert isinstance(method_of(run), str)
    assert loss_chance(run) is None or loss_chance(run)
    assert accuracy_chance(run) is None or accuracy_chance(run)
    assert isinstance(changed_settings(run), list)
    assert isinstance(setting(row, "knn_every", 1), int)
    store.close()


def _database(path: Path, script: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()


FOREIGN: dict[str, Callable[[Path], Any]] = {
    "another program's": lambda path: _database(path, "CREATE TABLE notes (a); INSERT INTO notes VALUES (1)"),
    "with a table runs": lambda path: _database(path, "CREATE TABLE runs (id, name)"),
    "with tables runs and steps": lambda path: _database(path, "CREATE TABLE runs (id); CREATE TABLE steps (a)"),
    "of our version": lambda path: _database(
        path, "CREATE TABLE runs (id); CREATE TABLE steps (a); PRAGMA user_version = 3"
    ),
    "of an older version of ours": lambda path: _database(
        path, "CREATE TABLE runs (id); CREATE TABLE steps (a); PRAGMA user_version = 1"
    ),
    "of a newer version": lambda path: _database(path, "CREATE TABLE notes (a); PRAGMA user_version = 99"),
    "named like SQLite's own": lambda path: _database(path, "CREATE TABLE my_sqlite_notes (a)"),
    "mlflow's": lambda path: _database(
        path, "CREATE TABLE runs (run_uuid, name, status, lifecycle_stage); CREATE TABLE metrics (key, value)"
    ),
    "a text": lambda path: path.write_text("these are my notes\n" * 500),
    "a short text": lambda path: path.write_text("x"),
    "bytes": lambda path: path.write_bytes(random.Random(0).randbytes(9000)),
    "a header and nothing": lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(84)),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_that_is_another_programs_is_refused_and_left_as_it_is(
    runs: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.mkdir()
    path = runs / "runs.db"
    FOREIGN[kind](path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    for open_it in (RunStore.open, StoreReader.open):
        with pytest.raises(TrainerError) as caught:
            open_it(runs).runs()
        assert_sentence(caught.value)
    for words in (["ls"], ["show", "a"], ["launch", "--dataset", "shapes"]):
        assert main(["--runs-dir", str(runs), *words]) in (1, 2)
        assert capsys.readouterr().err.count("\n") == 1
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert {entry.name for entry in runs.iterdir()} <= {"runs.db", "runs.lock", "runs.write.lock"}


def test_another_programs_write_ahead_log_is_not_moved_into_its_database(runs: Path) -> None:
    """As a crash of that program left it, which the end of any connection that may write would undo."""
    runs.mkdir()
    source = runs.parent / "source.db"
    connection = sqlite3.connect(source)
    connection.executescript("PRAGMA journal_mode=WAL; CREATE TABLE notes (a); INSERT INTO notes VALUES (1)")
    for suffix in ("", "-wal"):
        shutil.copy(f"{source}{suffix}", runs / f"runs.db{suffix}")
    connection.close()
    before = [(runs / f"runs.db{suffix}").read_bytes() for suffix in ("", "-wal")]
    with pytest.raises(TrainerError, match="another program"):
        RunStore.open(runs)
    assert [(runs / f"runs.db{suffix}").read_bytes() for suffix in ("", "-wal")] == before


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["pipe", "folder", "null", "loop", "zero"])
def test_a_store_that_is_no_file_is_refused_at_once(runs: Path, kind: str) -> None:
    runs.mkdir()
    path = runs / "runs.db"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to({"null": "/dev/null", "loop": str(path), "zero": "/dev/zero"}[kind])
    for open_it in (RunStore.open, StoreReader.open):
        with pytest.raises(TrainerError, match="cannot be used as a run store"):
            open_it(runs)


def test_every_older_store_of_ours_still_opens(runs: Path) -> None:
    """They carry no mark but their tables."""
    store = RunStore.open(runs)
    run_id = new_pretrain_run(store, PretrainConfig(dataset="shapes"), name="old")
    store.close()
    with sqlite3.connect(runs / "runs.db") as connection:
        assert connection.execute("PRAGMA application_id").fetchone()[0] == 0
    connection.close()
    reader = StoreReader.open(runs)
    assert json.loads(reader.run(run_id).config)["dataset"] == "shapes"
    reader.close()
