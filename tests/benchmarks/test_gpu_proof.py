"""The one command for a GPU machine, at a tiny size on the CPU, so that no GPU time is lost on a typo."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import gpu_proof

COMMAND = [sys.executable, str(gpu_proof.HERE / "gpu_proof.py"), "--device=cpu", "--tiny"]


def proof(out: Path, *arguments: str, seconds: float = 100) -> tuple[int, dict[str, dict[str, object]], str]:
    """Exit code, pieces by name and the page."""
    ended = subprocess.run(
        [*COMMAND, f"--out={out}", *arguments], capture_output=True, text=True, timeout=seconds, check=False
    )
    assert (out / "gpu-proof.json").exists(), ended.stderr
    document = json.loads((out / "gpu-proof.json").read_text())
    return ended.returncode, {row["name"]: row for row in document["pieces"]}, (out / "gpu-proof.md").read_text()


def run_here(tmp_path: Path, code: str, *, limit: float = 30, left: float = 100) -> gpu_proof.Row:
    """The row of a piece whose program is a few lines."""
    (tmp_path / "piece.py").write_text(code)
    piece = gpu_proof.Piece("piece", "claim", [sys.executable, str(tmp_path / "piece.py")], 20, limit, gpu_proof.goals)
    options = argparse.Namespace(tiny=False, tiny_limit=limit)
    return gpu_proof.run_piece(piece, left, options, gpu_proof._environment(tmp_path))


def _is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_piece_runs_at_a_tiny_size_and_is_written(tmp_path: Path) -> None:
    code, rows, page = proof(tmp_path, "--only=check nvml", "--minutes=2")
    assert (code, rows["check nvml"]["state"]) == (0, "passed"), page
    assert "gpu_util" in page


def test_a_piece_that_fails_is_a_row_with_its_last_line(tmp_path: Path) -> None:
    row = run_here(tmp_path, "print('before'); raise ValueError('a typo')")
    assert (row.state, row.words) == ("failed", ["ValueError: a typo"])


def test_a_piece_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    code = "import subprocess; child = subprocess.Popen(['sleep', '60']); print(child.pid, flush=True); child.wait()"
    row = run_here(tmp_path, code, limit=2)
    assert row.state == "ended at its limit of 2 s"
    deadline = time.monotonic() + 20
    while _is_running(int(row.words[0])):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_piece_is_left_out_where_the_time_is_shorter_than_its_estimate(tmp_path: Path) -> None:
    row = run_here(tmp_path, "", left=19)
    assert (row.state, row.words) == ("left out", ["19 s were left, and it takes about 20"])


@pytest.mark.parametrize(("ours", "verdict"), [(1.0, "10.00 x, met"), (1.1, "9.09 x, not met")])
def test_goals_are_said_to_be_met_or_not(ours: float, verdict: str) -> None:
    seconds = {"notes-kornia": 10.0, "notes-cached": 30.0, "kornia-tuned": 4.0, "ours graph": ours, "ours slow": 9.0}
    ways = [{"name": name, "median": value} for name, value in seconds.items()]
    words = gpu_proof.goals(
        {"title": "An epoch of 100,000 images", "ways": [*ways, {"name": "lightly", "median": None}]}
    )
    assert any(verdict in word and "notes-kornia" in word for word in words)
    assert any("at most 3 s: met; at most 2 s: met" in word for word in words)


def test_goals_of_a_piece_come_from_what_it_wrote(tmp_path: Path) -> None:
    code = "import json, sys; path = sys.argv[-1].partition('=')[2]; "
    code += "ways = [{'name': 'ours', 'median': 2.0}]; open(path, 'w').write(json.dumps({'title': 't', 'ways': ways}))"
    assert run_here(tmp_path, code).words == ["fastest of ours: ours, 2 s (t)"]


@pytest.mark.parametrize("tiny", [False, True])
def test_every_piece_names_a_script_that_takes_its_options(tmp_path: Path, *, tiny: bool) -> None:
    options = argparse.Namespace(tiny=tiny, device="cuda", photographs=tmp_path, images=100_000)
    for piece in gpu_proof.pieces(options, tmp_path):
        script = Path(piece.command[1])
        assert piece.estimate < piece.limit
        if script.suffix == ".py" and script.exists():
            source = script.read_text()
            given = [*piece.command[2:], *(["--json"] if piece.gives_json else [])]
            names = {part.partition("=")[0] for part in given if part.startswith("--")}
            assert not {name for name in names if f'"{name}"' not in source}, piece.name


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_every_piece_runs_at_a_tiny_size(tmp_path: Path) -> None:
    code, rows, _ = proof(tmp_path, "--minutes=14", seconds=880)
    wrong = {name: row["words"] for name, row in rows.items() if row["state"] != "passed"}
    assert (code, wrong) == (0, {})
