"""`simclr-tui compare`: the table on the terminal and in files, the pictures, and what is refused."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from rich.cells import cell_len

from simclr_tui.__main__ import main
from simclr_tui.compare.build import compare
from simclr_tui.compare.picture import draw
from simclr_tui.compare.reader import TotalsReader, read_sides
from simclr_tui.model import Watched
from simclr_tui.theme import run_variables
from tests.exits import code_of
from tests.simclr_tui.commands.test_commands import call
from tests.simclr_tui.learning_store import label_rows, layer_rows, put_checkpoint
from tests.simclr_tui.support import STEPS_PER_EPOCH, add_run
from tests.trainer.test_totals import put
from trainer.benchmark_config import BenchmarkConfig
from trainer.errors import UsageError
from trainer.evaluate_config import EvaluateConfig
from trainer.start import new_benchmark_run, new_evaluate_run
from trainer.store.reader import StoreReader
from trainer.store.runs import RunStore


@pytest.fixture
def three(store: RunStore) -> dict[str, str]:
    """Three runs of different lengths, two of them evaluated; ids by name."""
    ids = {
        "base": add_run(store, "base", steps=345, lifecycle="finished"),
        "warm": add_run(store, "warm", steps=184, lifecycle="paused", temperature=0.5),
        "seeded": add_run(store, "seeded", steps=115, lifecycle="stopped", seed=7),
    }
    store.put_evaluations(ids["base"], [*layer_rows(), *label_rows()])
    store.put_evaluations(ids["warm"], layer_rows(step=8 * STEPS_PER_EPOCH, worse=0.02))
    return ids


def printed(capsys: pytest.CaptureFixture[str], runs: Path, *words: str) -> str:
    """What `compare` prints, in this process."""
    assert main(["--runs-dir", str(runs), "compare", *words]) == 0
    return capsys.readouterr().out


def test_runs_are_printed_side_by_side(runs: Path, three: dict[str, str]) -> None:
    done = call(runs, "compare", "base", "warm", three["seeded"][:6])
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["●", "base", "■", "warm", "▲", "seeded"]
    assert next(line for line in lines if line.startswith("temperature")).split()[1:] == ["0.2", "0.5", "0.2"]
    assert "at epoch 5, the last that all have closed" in lines
    assert any(line.startswith("h, linear ") and "78.9@15 ★" in line and "76.9@8" in line for line in lines)
    assert "settings are equal" in done.stdout
    assert not done.stderr


def test_the_table_is_as_wide_as_the_terminal(runs: Path, three: dict[str, str]) -> None:
    leader, follower = pty.openpty()
    words = [sys.executable, "-m", "simclr_tui", "--runs-dir", str(runs), "compare", *three]
    environment = os.environ | {"COLUMNS": "60", "LINES": "24"}
    with subprocess.Popen(words, stdout=follower, stdin=subprocess.DEVNULL, env=environment) as process:
        os.close(follower)
        written = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:
                break
            if not part:
                break
            written += part
    os.close(leader)
    assert process.returncode == 0
    text = written.decode()
    assert max(map(cell_len, text.splitlines())) <= 60
    assert text.count("settings that differ") == 2, "the third run is below, beside the first one again"


def test_another_run_can_be_the_reference_and_all_settings_shown(
    runs: Path, three: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    written = printed(capsys, runs, "base", "warm", "--reference", "warm", "--all-settings")
    assert written.splitlines()[0].split() == ["■", "warm", "●", "base"]
    assert "equal settings" in written
    assert "head-width, features" in written


def test_files_are_read_back_by_their_ending(
    runs: Path, three: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("out.md", "out.csv", "out.json", "out.txt"):
        written = printed(capsys, runs, "base", "warm", "--out", str(tmp_path / name))
        assert written == f"{tmp_path / name} compares base, warm\n"
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert next(row for row in rows if row["row"] == "temperature")["warm"] == "0.5"
    found = json.loads((tmp_path / "out.json").read_text())
    assert [run["id"] for run in found["runs"]] == [three["base"], three["warm"]]
    assert "| temperature | 0.2" in (tmp_path / "out.md").read_text()
    assert "settings that differ" in (tmp_path / "out.txt").read_text()
    assert json.loads(printed(capsys, runs, "base", "warm", "--json")) == found
    assert printed(capsys, runs, "base", "warm", "--format", "csv") == (tmp_path / "out.csv").read_text()


@pytest.mark.parametrize("name", ["nowhere/out.md", "nowhere/out.svg", "folder.csv", "folder.png"])
def test_a_file_that_can_not_be_written_is_one_sentence(
    runs: Path, three: dict[str, str], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("folder.csv", "folder.png"):
        (tmp_path / folder).mkdir()
    assert main(["--runs-dir", str(runs), "compare", "base", "warm", "--out", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r"simclr-tui: --out: .* can't be written \((No such file|Is a dir).*\); name a file .*\n", said)
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"], "nothing is left behind"


def test_a_name_in_letters_that_the_font_lacks_prints_no_warning(store: RunStore, tmp_path: Path) -> None:
    runs = [store.run(add_run(store, name, steps=2)) for name in ("ありがとう", "_u$a$b")]
    sides = read_sides(store, runs)
    draw(sides, compare(sides), tmp_path / "out.png")
    assert (tmp_path / "out.png").stat().st_size > 10_000


def test_a_picture_is_written_as_svg_and_png(runs: Path, three: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "out.svg"
    assert call(runs, "compare", "base", "warm", "seeded", "--out", str(path)).returncode == 0
    texts = [element.text for element in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]
    written = " ".join(filter(None, texts))
    for wanted in (
        "● base",
        "■ warm",
        "▲ seeded",
        "temperature",
        "kNN top-1, %",
        "loss, smoothed",
        "78.9",
        "chance 5.54",
    ):
        assert wanted in written, wanted
    reader = StoreReader.open(runs)
    sides = read_sides(reader, [reader.find("base"), reader.find("warm")])
    reader.close()
    draw(sides, compare(sides), tmp_path / "out.png")
    from PIL import Image

    with Image.open(tmp_path / "out.png") as picture:
        assert picture.format == "PNG"
        colours = picture.convert("RGB").getcolors(maxcolors=1 << 24)
        assert colours is not None
        assert len(colours) > 50
        assert max(colours)[1] == (255, 255, 255), "a light ground"
        found = {colour for _, colour in colours}
        own = [run_variables(dark=False)[f"run-{number}"] for number in (0, 1)]
        assert {tuple(bytes.fromhex(colour[1:])) for colour in own} <= found, "each run has its own colour"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("base",), "compare: base is one run, and a comparison needs two; name another one"),
        (("base", "nobody"), "no run has the id or name 'nobody'; `simclr-tui ls` lists them"),
        (("base", "base"), "is named twice, and a run differs from itself in nothing; name another one"),
        (("base", "bench"), "`simclr-tui benchmark` shows it"),
        (("base", "job"), "which trains nothing; name the run that it looks at"),
        (("base", "warm", "--reference", "seeded"), "--reference: seeded is not among the runs that are compared"),
        (("base", "warm", "--format", "svg"), "--format svg is a picture; name its file, as in --out comparison.svg"),
        (("base", "warm", "--out", "x.doc"), "--out x.doc: no format has this ending"),
        (("base", "warm", "--json", "--format", "csv"), "--json and --format csv are two formats; give one of them"),
        (("base", "warm", "--format", "pdf"), "'pdf' is not known"),
        ((), "RUN"),
    ],
)
def test_what_can_not_be_compared_is_one_sentence_and_exit_code_2(
    runs: Path,
    store: RunStore,
    three: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    reason: str,
) -> None:
    new_benchmark_run(store, BenchmarkConfig(), name="bench")
    put_checkpoint(store, three["base"], 345)
    job_id = new_evaluate_run(store, store.run(three["base"]), EvaluateConfig(run=three["base"]))
    words = tuple(job_id if word == "job" else word for word in words)
    code = code_of(main, ["--runs-dir", str(runs), "compare", *words])
    told = capsys.readouterr()
    assert (code, told.out) == (2, "")
    assert told.err.startswith("simclr-tui: ")
    assert told.err.count("\n") == 1
    assert reason in told.err


def test_a_picture_needs_an_ending_that_there_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no name for a chart"):
        draw([], None, tmp_path / "x.gif")  # type: ignore[arg-type]


def test_a_forks_parent_is_read_for_the_epochs_before_it(runs: Path, store: RunStore, three: dict[str, str]) -> None:
    fork = add_run(store, "fork")
    store.update_run(fork, parent_run_id=three["base"], parent_step=6 * STEPS_PER_EPOCH)
    grandchild = add_run(store, "grandchild")
    store.update_run(grandchild, parent_run_id=fork, parent_step=7 * STEPS_PER_EPOCH)
    sides = read_sides(store, [store.run(grandchild), store.run(three["warm"])])
    assert [stretch.row.run.name for stretch in sides[0].drawn.trunk] == ["base", "fork"]
    assert sides[0].last_epoch == 6
    store.update_run(fork, parent_run_id=grandchild)
    assert len(read_sides(store, [store.run(fork)])[0].drawn.trunk) == 8, "rows that were edited into a ring"


def test_totals_are_told_only_where_they_have_changed(store: RunStore) -> None:
    ids = [add_run(store, name) for name in "ab"]
    reader = TotalsReader()
    assert set(reader.read(store, ids)) == set(ids)
    assert not reader.read(store, ids)
    put(store, ids[1], [(1.0, None, 5, 7)])
    assert reader.read(store, ids)[ids[1]].device_memory_bytes == 5
    assert Watched().compared_ids == ()
