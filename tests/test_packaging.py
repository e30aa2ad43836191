"""What is given away: the sdist, the wheel, what an empty environment makes of the wheel, and the lock file."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytest.importorskip("hatchling", reason="needs the extra dev")

ROOT = Path(__file__).parent.parent
TREES = ("simclr_tui", "trainer", "tests", "docs", "benchmarks", ".ci")
TOP = {"pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "uv.lock", "runs/.gitignore"}
TOP |= {".gitignore"}  # the builder's own: it says what was left out
STRAY = (
    "runs/runs.db",
    "runs/a1/checkpoints/step-1.pt",
    ".venv/lib/x.py",
    "build/docs/index.html",
    "data/stl10.bin",
    "secret.txt",
    "trainer/__pycache__/x.cpython-311.pyc",
)
"""What lies about in a checkout that somebody works in."""


def copied(folder: Path) -> Path:
    """A copy of the checkout as it was cloned, with what somebody left there."""
    tree = folder / "tree"
    tree.mkdir()
    junk = shutil.ignore_patterns("__pycache__", "*.pyc", "snapshot_report.html")
    for name in TREES:
        shutil.copytree(ROOT / name, tree / name, ignore=junk)
    for name in TOP:
        (tree / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, tree / name)
    for name in STRAY:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("left here")
    return tree


def built(tree: Path, target: str) -> Path:
    """The sdist or the wheel of a tree."""
    out = tree.parent / target
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = out.iterdir()
    return made


def files_of(sdist: Path) -> set[str]:
    """The files of an sdist, below its one folder."""
    with tarfile.open(sdist) as archive:
        return {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with things lying about."""
    return copied(tmp_path_factory.mktemp("packaging"))


@pytest.fixture(scope="module")
def wheel(tree: Path) -> Path:
    """The wheel of it."""
    return built(tree, "wheel")


def expected(tree: Path, *tops: str) -> set[str]:
    """The files of a tree below some folders but those that were left there."""
    found = {str(path.relative_to(tree)) for top in tops for path in (tree / top).rglob("*") if path.is_file()}
    return found - set(STRAY)


def test_the_sdist_is_the_checkout_and_nothing_that_lies_about(tree: Path) -> None:
    assert files_of(built(tree, "sdist")) == expected(tree, *TREES) | TOP | {"PKG-INFO"}


def test_without_the_list_of_what_belongs_to_it_the_sdist_would_have_somebodys_runs(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "tree"
    shutil.copytree(tree / "runs", other / "runs")
    for name in ("README.md", "LICENSE", ".gitignore", "secret.txt"):
        shutil.copyfile(tree / name, other / name)
    for name in ("simclr_tui", "trainer"):
        shutil.copytree(tree / name, other / name)
    settings = (tree / "pyproject.toml").read_text()
    (other / "pyproject.toml").write_text(
        re.sub(r"(targets\.sdist\]\n.*?)include = \[.*?\]\n", r"\1", settings, flags=re.S)
    )
    assert {"runs/runs.db", "secret.txt"} <= files_of(built(other, "sdist"))


def test_the_wheel_has_both_packages_with_their_data_and_nothing_else(tree: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        about = {name.partition(".dist-info/")[2]: archive.read(name).decode() for name in archive.namelist()}
    assert names == expected(tree, "simclr_tui", "trainer")
    assert {"simclr_tui/app.tcss", "simclr_tui/py.typed", "trainer/py.typed", "trainer/presets/stl10.toml"} <= names
    assert "simclr-tui = simclr_tui.__main__:main" in about["entry_points.txt"]
    assert about["licenses/LICENSE"] == (ROOT / "LICENSE").read_text()
    assert "Requires-Python: >=3.11" in about["METADATA"]


@pytest.fixture
def environment(wheel: Path, tmp_path: Path) -> Path:
    """The programs of an empty environment with the wheel; its dependencies are those of this one."""
    place = tmp_path / "environment"
    venv.create(place, with_pip=True)
    program = place / "bin" / "python"
    subprocess.run([program, "-m", "pip", "install", "-q", "--no-deps", wheel], check=True)
    own = subprocess.run(
        [program, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    borrowed = [entry for entry in sys.path if entry.endswith("site-packages")]
    (Path(own) / "borrowed.pth").write_text("\n".join(borrowed))
    return place / "bin"


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_from_the_wheel_alone_a_run_is_trained_paused_resumed_and_taken_out(environment: Path, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    place.mkdir()
    few = ["--limit-per-class=13", "--limit-test-per-class=3", "--batch-size=32", "--no-evaluate-at-end", "--threads=1"]

    def typed(*words: str) -> str:
        variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SIMCLR_TUI_RUNS")}
        command = [str(environment / words[0]), *words[1:]]
        done = subprocess.run(command, cwd=place, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def state(name: str) -> str:
        return str(json.loads(typed("simclr-tui", "show", name, "--json"))["state"])

    where = typed("python", "-c", "import trainer, simclr_tui; print(trainer.__file__, simclr_tui.__file__)").split()
    assert all(path.startswith(str(environment.parent)) for path in where)
    assert typed("simclr-tui", "--version").startswith("simclr-tui ")
    assert "finished" in typed("simclr-tui", "demo", "--epochs", "1", "--name", "tiny", *few)
    typed("simclr-tui", "launch", "--preset", "demo", "--epochs", "100000", "--name", "long", *few)
    until = time.monotonic() + 90
    while state("long") != "running" and time.monotonic() < until:
        time.sleep(0.5)
    typed("simclr-tui", "pause", "long")
    assert state("long") == "paused"
    typed("simclr-tui", "resume", "long")
    typed("simclr-tui", "stop", "long")
    assert {row["name"]: row["state"] for row in json.loads(typed("simclr-tui", "ls", "--json"))} == {
        "tiny": "finished",
        "long": "stopped",
    }
    typed("simclr-tui", "export", "long", "--to", "archive")
    assert "long" in typed("simclr-tui", "import", "long.tar", "--runs-dir", "other")


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_the_tests_of_an_unpacked_sdist_are_found_by_pytest(tree: Path, tmp_path: Path) -> None:
    sdist = built(tree, "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = (path for path in tmp_path.iterdir() if (path / "pyproject.toml").exists())
    command = [sys.executable, "-m", "pytest", "--collect-only", "-m", "", "-n", "0", "-p", "no:cacheprovider"]
    variables = {**os.environ, "PYTHONPATH": str(unpacked)}
    done = subprocess.run(command, cwd=unpacked, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    found = {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line}
    assert found == {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}


def test_the_lock_file_is_of_these_requirements() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    (own,) = (package for package in lock["package"] if package["name"] == "simclr-tui")
    wanted = {told(line, "") for line in project["dependencies"]}
    wanted |= {told(line, extra) for extra, lines in project["optional-dependencies"].items() for line in lines}
    locked = {
        (
            entry["name"],
            tuple(entry.get("extras", ())),
            frozenset(entry.get("specifier", "").split(",")),
            entry.get("marker", "").removeprefix("extra == ").strip("'"),
        )
        for entry in own["metadata"]["requires-dist"]
    }
    assert locked == wanted, "pyproject.toml has changed; `uv lock` brings uv.lock up to date"
    assert {package["name"] for package in lock["package"]} >= {name for name, *_ in wanted}


def told(line: str, extra: str) -> tuple[str, tuple[str, ...], frozenset[str], str]:
    """A requirement as the lock file tells it: name, extras, versions, and the extra that it belongs to."""
    one = Requirement(line)
    return one.name, tuple(sorted(one.extras)), frozenset(str(one.specifier).split(",")), extra
