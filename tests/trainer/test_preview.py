"""`python -m trainer.preview`: what it shows, writes and refuses."""

import contextlib
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.exits import code_of
from tests.trainer.data_files import write_folder
from trainer.config import PretrainConfig
from trainer.errors import ExitCode
from trainer.presets import load_preset
from trainer.preview import main, recipe_words
from trainer.store import RunStore
from trainer.view_sheet import preview_sheet

SETTINGS = ("--dataset", "shapes", "--image-size", "16", "--limit-per-class", "2", "--limit-test-per-class", "1")
CONFIG = PretrainConfig(dataset="shapes", image_size=16, limit_per_class=2, limit_test_per_class=1)
NOTHING = {
    "crop_scale_min": 1.0,
    "flip_probability": 0.0,
    "jitter_probability": 0.0,
    "grayscale_probability": 0.0,
    "blur_probability": 0.0,
}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    threads = torch.get_num_threads()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIMCLR_TUI_RUNS", raising=False)
    yield
    torch.set_num_threads(threads)


def pixels(path: Path) -> bytes:
    with Image.open(path) as picture:
        return picture.tobytes()


@pytest.fixture
def in_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a command line in a terminal of 256 colours; returns what a person sees, escape sequences included."""

    def run(arguments: list[str], **environment: str) -> str:
        ours, theirs = pty.openpty()
        with ThreadPoolExecutor(1) as reader, monkeypatch.context() as patch:
            seen = reader.submit(_read_to_the_end, ours)
            with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
                patch.setattr(sys, "stdout", terminal)
                for name, value in {"TERM": "xterm-256color", "COLUMNS": "80", **environment}.items():
                    patch.setenv(name, value)
                patch.delenv("COLORTERM", raising=False)
                if "NO_COLOR" not in environment:
                    patch.delenv("NO_COLOR", raising=False)
                assert main(arguments) == 0
            return seen.result(timeout=30).decode().replace("\r\n", "\n")

    return run


def _read_to_the_end(descriptor: int) -> bytes:
    seen = b""
    with contextlib.suppress(OSError):  # how Linux says that the other end was closed
        while part := os.read(descriptor, 65536):
            seen += part
    os.close(descriptor)
    return seen


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The sentence on stderr of a command line that comes to nothing, with the exit code of wrong usage."""
    assert code_of(main, arguments) == ExitCode.USAGE
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("simclr-tui: ")
    assert error.count("\n") == 1
    assert not list(Path().glob("*.png"))
    return error


def test_without_a_terminal_the_sheet_is_written_and_the_recipe_and_the_path_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SETTINGS, "--images", "3", "--columns", "2"]) == 0
    assert pixels(tmp_path / "views.png") == preview_sheet(CONFIG, 3, 2).tobytes()
    recipe, path = capsys.readouterr().out.splitlines()
    assert recipe == f"3 images of shapes (train), views by kornia: {recipe_words(CONFIG)}"
    assert path == f"written to {tmp_path / 'views.png'}"


def test_views_asked_for_are_the_columns_shown(tmp_path: Path) -> None:
    assert main([*SETTINGS, "--images", "2", "--views", "6", "--out", "six.png"]) == 0
    assert main([*SETTINGS, "--images", "2", "--out", "two.png"]) == 0
    with Image.open("six.png") as six, Image.open("two.png") as two:
        assert six.size == two.size, "one epoch of six views, or three epochs of two"
        assert six.tobytes() != two.tobytes()
    assert not Path("views.png").exists()


def test_settings_and_presets_change_the_views_as_they_change_a_run(tmp_path: Path) -> None:
    line = ["--preset", "demo", "--limit-per-class", "2", "--images", "2", "--augment", "torchvision", "--seed", "5"]
    assert main([*line, "--out", str(tmp_path / "a.PNG")]) == 0
    config = load_preset("demo").config(limit_per_class=2, augment="torchvision", seed=5)
    assert pixels(tmp_path / "a.PNG") == preview_sheet(config, 2, 6).tobytes()


def test_a_runs_own_recipe_is_shown_and_the_store_is_left_alone(
    tmp_path: Path, store: RunStore, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = PretrainConfig(dataset="shapes", image_size=16, limit_per_class=2, seed=9, jitter_hue=0.5, num_workers=0)
    run_id = store.create_run(name="mine", kind="pretrain", config=config.to_json())
    before = {path.name: path.stat().st_mtime_ns for path in runs.iterdir()}
    for name in (run_id, run_id[:5], "mine"):
        assert main(["--run", name, "--runs-dir", str(runs), "--images", "2", "--out", "run.png"]) == 0
        assert pixels(tmp_path / "run.png") == preview_sheet(config, 2, 6).tobytes()
    assert "hue ±0.5" in capsys.readouterr().out
    assert main(["--run", run_id, "--runs-dir", str(runs), "--images", "2", "--out", "b.png", "--seed", "1"]) == 0
    assert pixels(tmp_path / "b.png") != pixels(tmp_path / "run.png")
    assert {path.name: path.stat().st_mtime_ns for path in runs.iterdir()} == before


def test_a_run_that_makes_no_views_or_is_not_there_is_refused(
    store: RunStore, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.create_run(name="scores", kind="evaluate", config="{}")
    where = ["--runs-dir", str(runs)]
    assert "is of kind evaluate and makes no views" in refused(["--run", "scores", *where], capsys)
    assert "no run has the id or name 'absent'" in refused(["--run", "absent", *where], capsys)
    assert "leave --preset out" in refused(["--run", "scores", "--preset", "demo", *where], capsys)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--images", "0"], "--images: '0' can't be shown; give a whole number from 1 to 100"),
        (["--columns", "two"], "--columns: 'two' can't be shown; give a whole number from 1 to 12"),
        (["--out", "views.jpg"], "--out: views.jpg does not end in .png"),
        (["--out", "absent/views.png"], "--out: there is no folder"),
        (["--preset", "dmeo"], "--preset: 'dmeo' is not known"),
        (["--image", "3"], "there is no option --image; did you mean --images?"),
        (["--crop-scale-min", "2"], "--crop-scale-min: 2.0 is out of bounds"),
        (["--dataset", "folder:absent"], "--dataset: absent is not a folder"),
        (["--split", "unlabeled"], "--split: shapes has no split unlabeled"),
        (["--blur-kernel", "99"], "--blur-kernel: 99 is too wide for images of 16 pixels"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert sentence in refused([*SETTINGS, *arguments], capsys)


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "views.png").mkdir()
    found = refused([*SETTINGS, "--out", "taken/views.png"], capsys)
    assert found.endswith("views.png can't be written (Is a directory); name a file that you can write\n")
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["views.png"]


def test_an_image_that_cannot_be_read_is_named_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_folder(tmp_path / "own", classes=("a",), train=2, test=1)
    (root / "train" / "a" / "0000.png").write_bytes(b"no image")
    assert main(["--dataset", f"folder:{root}", "--image-size", "16", "--columns", "1"]) == 0
    out, error = capsys.readouterr()
    assert out.startswith("1 image of folder:")
    assert re.fullmatch(r"simclr-tui: \S+0000\.png is left out: .+\n", error)


def test_a_recipe_is_told_without_the_steps_that_never_happen() -> None:
    whole = (
        "crop 0.08–1 of the area; flip 0.5; jitter 0.8 (brightness ±0.5, contrast ±0.5, saturation ±0.5, hue ±0.1); "
        "grayscale 0.2; blur 1 (9 px, sigma 0.1–2)"
    )
    assert recipe_words(PretrainConfig()) == whole
    assert recipe_words(PretrainConfig.from_values(NOTHING)) == "crop 1–1 of the area"
    only_hue = {"jitter_brightness": 0.0, "jitter_contrast": 0.0, "jitter_saturation": 0.0}
    assert "jitter 0.8 (hue ±0.1)" in recipe_words(PretrainConfig.from_values(only_hue))
    assert "jitter" not in recipe_words(PretrainConfig.from_values({**only_hue, "jitter_hue": 0.0}))
    assert recipe_words(PretrainConfig(same_on_batch=True)).endswith("; the same draws for all images of a batch")


def test_in_a_terminal_the_views_fill_its_width_and_no_file_is_written(
    tmp_path: Path, in_terminal: Callable[..., str]
) -> None:
    seen = in_terminal([*SETTINGS, "--images", "2"], COLUMNS="76")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", seen)
    lines = plain.splitlines()
    assert lines[0].split() == ["image", "1", "2", "3", "4", "5", "6"]
    drawn = [line for line in lines if "▀" in line]
    assert len(drawn) == 2 * 5
    assert lines[6].strip() == lines[12].strip() == "", "a line between the images"
    assert {line.rstrip() for line in drawn} == {" ".join(["▀" * 10] * 7)}
    assert "\x1b[38;5;" in seen
    assert "2 images of shapes (train)" in plain
    assert not list(tmp_path.iterdir())


def test_a_terminal_without_colours_gets_characters_and_no_show_gets_the_file(
    tmp_path: Path, in_terminal: Callable[..., str]
) -> None:
    seen = in_terminal([*SETTINGS, "--images", "1"], NO_COLOR="1")
    assert "▀" not in seen
    assert "38;5" not in seen
    assert len(set(seen.splitlines()[2])) > 3
    seen = in_terminal([*SETTINGS, "--images", "1", "--no-show"])
    assert len(seen.splitlines()) <= 4, "the recipe may be wrapped"
    assert (tmp_path / "views.png").is_file()


def test_a_reader_that_has_had_enough_is_no_error_and_wrong_usage_needs_no_torch(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    line = [sys.executable, "-m", "trainer.preview", *SETTINGS, "--images", "1"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 0
    code = (
        "import sys; from trainer.preview import main\n"
        "assert main(['--split', 'unlabeled', '--run', 'x', '--preset', 'demo']) == 2\n"
        "assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=60)
