"""Versions are those that the packages themselves say, and saying them imports none of them."""

import importlib.metadata
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from trainer import versions as module
from trainer.versions import torch_build, version_of, versions

HEAVY = ("torch", "torchvision", "kornia", "numpy")


def test_torchs_build_is_the_one_that_torch_says() -> None:
    said = f"CUDA {torch.version.cuda}" if torch.version.cuda else "the CPU alone"
    assert torch_build() == said
    assert version_of("torch") == torch.__version__.partition("+")[0]
    assert dict(versions())["SQLite"] == sqlite3.sqlite_version


@pytest.mark.parametrize(
    ("source", "build"),
    [
        ("cuda: Optional[str] = '12.8'\nhip: Optional[str] = None\n", "CUDA 12.8"),
        ("cuda = None\nhip = '7.1'\n", "ROCm 7.1"),
        ("cuda: Optional[str] = None\nhip: Optional[str] = None\n", "the CPU alone"),
        ("cuda = read_it()\n", None),
        ("not Python", None),
        (None, None),
    ],
)
def test_what_torch_was_built_for_is_read_and_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str | None, build: str | None
) -> None:
    info = tmp_path / "torch-9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 9\n")
    (tmp_path / "torch").mkdir()
    if source is not None:
        (tmp_path / "torch" / "version.py").write_text(source)
    found = importlib.metadata.PathDistribution(info)
    monkeypatch.setattr(module, "distribution", lambda _name: found)
    assert torch_build() == build


def test_a_package_that_is_missing_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKAGES", ("torch", "no-such-package-of-ours"))
    assert dict(versions())["no-such-package-of-ours"] == "not installed here"


@pytest.mark.parametrize("program", ["simclr_tui", "trainer.run"])
def test_both_programs_say_all_of_them_and_import_nothing_heavy(program: str) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['x', '--version']\ntry:\n    runpy.run_module({program!r}, run_name='__main__')\n"
        f"finally:\n    print('heavy:', *(name for name in {HEAVY!r} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    *said, heavy = done.stdout.splitlines()
    assert said == [f"{name} {words}" for name, words in versions()]
    assert heavy == "heavy:"
