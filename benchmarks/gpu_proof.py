"""All checks and benchmarks that want a GPU, in one command, most valuable first, within a given time.

    python benchmarks/gpu_proof.py [--minutes 9] [--out benchmarks/results] [--wheels DIR] [--photographs FOLDER|TAR]
        [--images 100000] [--only NAME,NAME] [--device auto] [--tiny] [--list]

Each piece is a process of its own with an estimate and a limit: it is left out, with a word, where the time left is
shorter than its estimate; one that fails or hangs is a row, and the rest goes on. `gpu-proof.json` and `gpu-proof.md`
are written after each piece, so that a machine that is taken away leaves what was found. Without CUDA, or with
`--tiny`, every piece runs at a tiny size on the CPU. Exits with 1 where a piece failed; a goal that is missed, a piece
that was left out, or one whose script is not there, is said and fails nothing.

A machine without a network: on one that has it, get the wheels that it lacks,

    pip download --no-deps --only-binary=:all: --python-version 3.12 --implementation cp
        --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64
        -d DIR -r benchmarks/gpu_wheels.txt

and carry DIR along. They are installed into a folder beside, never into the machine's own packages.
"""

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "benchmarks"
sys.path.insert(0, str(ROOT))

_PYTHON = sys.executable
_TAIL = 1500
_LEAST_SECONDS = 5.0
_NEEDED = ("kornia", "sqlite_utils", "textual", "pytest_asyncio")
"""Packages that such a machine may lack; where one is missing, all wheels are installed."""

_EMPTY = "Nothing has been measured"
"""What the laboratory says where no trial was taken, which is no failure of its own."""

Judge = Callable[[dict[str, Any]], list[str]]
"""From the JSON of a piece to sentences about goals."""


@dataclass(frozen=True)
class Piece:
    """A process to run."""

    name: str
    claim: str
    command: Sequence[str]
    estimate: float
    """Seconds below which it is not begun, on a GPU."""
    limit: float
    """Seconds after which it is killed, on a GPU."""
    judge: Judge | None = None
    needs: str = ""
    """What is missing for it, in words."""
    gives_json: bool = True


@dataclass
class Row:
    """What became of a piece."""

    name: str
    claim: str
    state: str
    """passed, failed, left out, or ended at its limit."""
    seconds: float = 0.0
    words: list[str] = field(default_factory=list)
    command: str = ""
    output: str = ""
    figures: dict[str, Any] | None = None


def pieces(options: argparse.Namespace, scratch: Path) -> list[Piece]:
    """What is run, most valuable first."""
    device = [f"--device={options.device}"]

    def script(
        name: str,
        *more: str,
        estimate: float,
        limit: float,
        claim: str,
        judge: Judge | None = None,
        title: str = "",
        tiny: Sequence[str] = ("--tiny",),
        common: bool = True,
    ) -> Piece:
        path = HERE / f"{name}.py"
        needs = "" if path.exists() else f"benchmarks/{name}.py is not there"
        sizes = tiny if options.tiny else more
        command = [_PYTHON, str(path), *sizes, *(device if common else [])]
        title = title or name.replace("_", " ")
        return Piece(title, claim, command, estimate, limit, judge, needs, gives_json=common)

    def check(name: str, *more: str, estimate: float, limit: float, claim: str) -> Piece:
        made = script("gpu_checks", *more, estimate=estimate, limit=limit, claim=claim, title=f"check {name}")
        return dataclasses.replace(made, command=[*made.command[:2], name, *made.command[2:]])

    photographs = [f"--photographs={options.photographs}"] if options.photographs else []
    main_ways = "kornia-tuned,notes-kornia,kornia-tuned compiled,ours graph fused,ours compiled fused"
    some = [f"--ways={main_ways}", "--images=25600", "--slow-images=6400", "--rounds=5", "--minutes=1.2"]
    rest = [f"--images={options.images}", "--slow-images=3840", "--rounds=5", "--minutes=1.8"]
    small = ["--threads=1", "--rounds=1"]
    return [
        _tests(options),
        check("fused", estimate=15, limit=60, claim="the fused augmentation is the reference on this device"),
        check("graph", estimate=15, limit=60, claim="replayed steps are the eager ones"),
        script(
            "epoch",
            *some,
            tiny=["--tiny", "--ways=tutorial,ours eager fused"],
            estimate=50,
            limit=120,
            judge=goals,
            title="epoch, the main ways",
            claim="epoch of a quarter of the images: ours, Kornia tuned and the notes' Kornia way",
        ),
        check("syncs", estimate=12, limit=50, claim="steps have no hidden synchronisation; a planted one is seen"),
        script(
            "epoch",
            *rest,
            estimate=100,
            limit=190,
            judge=goals,
            title="epoch, all ways",
            claim="t_epoch of all images at most 3 s; 10 x the notes' best way; 3 x Kornia tuned",
        ),
        script(
            "augmentation",
            "--sizes=96",
            "--images=256",
            tiny=[*small, "--sizes=16", "--images=4"],
            estimate=20,
            limit=60,
            claim="augmentation alone",
        ),
        script(
            "step",
            tiny=[*small, "--steps=1", "--batch-size=8", "--image-size=16", "--backbone=resnet-narrow"],
            estimate=20,
            limit=60,
            claim="a step alone",
        ),
        script("loss", tiny=[*small, "--calls=1", "--images=8"], estimate=10, limit=40, claim="the loss alone"),
        check("anatomy", estimate=25, limit=70, claim="less than 3 % of an epoch is unexplained"),
        check(
            "accuracy",
            *photographs,
            estimate=40,
            limit=110,
            claim="acc_top1 of epoch 1 lies within the spread of three seeds of the slow way",
        ),
        script(
            "checkpoint_cost",
            tiny=["--threads=1", "--rounds=1", "--batch=2"],
            common=False,
            estimate=20,
            limit=60,
            claim="checkpoints take at most 1 % of the time",
        ),
        script(
            "determinism",
            "--steps=20",
            "--rounds=4",
            estimate=25,
            limit=70,
            claim="what --deterministic yes costs",
        ),
        _laboratory(options, scratch),
        check("nvml", estimate=6, limit=20, claim="NVML's columns are there"),
    ]


def _tests(options: argparse.Namespace) -> Piece:
    where = "tests/trainer/test_timing.py" if options.tiny else "tests/trainer"
    command = [_PYTHON, "-m", "pytest", "-o", "addopts=", "-q", "-p", "no:cacheprovider", "--timeout=60", where]
    command += ["-k", "cuda or gpu or nvidia or nvml or triton", "-m", "not reliability and not soak", "-rs"]
    # Other versions of the libraries may warn, and the machine may lack what other tests import.
    command += ["-W", "default", "--maxfail=20", "--continue-on-collection-errors"]
    needs = "" if importlib.util.find_spec("pytest") else "pytest is not installed"
    claim = "tests that only a GPU can run"
    return Piece("tests", claim, command, 30, 110, None, needs, gives_json=False)


def _laboratory(options: argparse.Namespace, scratch: Path) -> Piece:
    command = [_PYTHON, "-m", "simclr_tui", "benchmark", "--preset=notes", f"--runs-dir={scratch / 'runs'}"]
    command += ["--dataset=shapes", f"--device={options.device}"]
    size = ["--limit-per-class=512", "--rounds=2", "--steps=10", "--budget-minutes=1.2"]
    if options.tiny:
        size = ["--limit-per-class=200", "--rounds=1", "--steps=1", "--scale=0.1", "--threads=1"]
        size += ["--budget-minutes=1"]
    claim = "the notes' rows on this machine, by the laboratory"
    return Piece("laboratory", claim, [*command, *size], 60, 110, None, gives_json=False)


def goals(figures: dict[str, Any]) -> list[str]:
    """The goals of an epoch, met or not, from what benchmarks/epoch.py wrote."""
    seconds = {way["name"]: way["median"] for way in figures["ways"] if way["median"]}
    ours = {name: value for name, value in seconds.items() if name.startswith("ours")}
    notes = {name: value for name, value in seconds.items() if name.startswith("notes")}
    tuned = {name: value for name, value in seconds.items() if name.startswith("kornia-tuned")}
    if not ours:
        return ["none of our ways was measured"]
    best = min(ours, key=lambda name: ours[name])
    words = [f"fastest of ours: {best}, {ours[best]:.3g} s ({figures['title']})"]
    if "100,000 images" in figures["title"]:
        words.append(f"t_epoch at most 3 s: {_met(ours[best] <= 3)}; at most 2 s: {_met(ours[best] <= 2)}")
    for wanted, others, whose in ((10, notes, "the notes' best way"), (3, tuned, "Kornia tuned at its best")):
        if others:
            other = min(others, key=lambda name: others[name])
            ratio = others[other] / ours[best]
            words.append(f"{wanted} x {whose} ({other}, {others[other]:.3g} s): {ratio:.2f} x, {_met(ratio >= wanted)}")
    return words


def _met(holds: bool) -> str:
    return "met" if holds else "not met"


def run_piece(piece: Piece, left: float, options: argparse.Namespace, environment: dict[str, str]) -> Row:
    """Run a piece in a session of its own, and end all of it at its limit."""
    row = Row(piece.name, piece.claim, "left out")
    if piece.needs:
        row.words = [piece.needs]
        return row
    if left < max(_LEAST_SECONDS, piece.estimate if not options.tiny else 0):
        row.words = [f"{max(0, left):.0f} s were left, and it takes about {piece.estimate:.0f}"]
        return row
    limit = min(piece.limit if not options.tiny else options.tiny_limit, left)
    with tempfile.TemporaryDirectory() as folder:
        path, log = Path(folder) / "figures.json", Path(folder) / "log"
        command = [*piece.command, *([f"--json={path}"] if piece.gives_json else [])]
        row.command = " ".join(command)
        begun = time.monotonic()
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
            code = _wait(process, limit)
        row.seconds = time.monotonic() - begun
        row.output = log.read_bytes()[-20 * _TAIL :].decode(errors="replace")
        row.state = "passed" if code == 0 else "failed" if code is not None else f"ended at its limit of {limit:.0f} s"
        if row.state == "passed" and _EMPTY in row.output:
            row.state = "failed"
        row.words = _words(piece, path, row)
    return row


def _wait(process: subprocess.Popen[bytes], limit: float) -> int | None:
    """The exit code, or None at the limit; what the process started ends with it."""
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _words(piece: Piece, path: Path, row: Row) -> list[str]:
    lines = [line for line in row.output.strip().splitlines() if line.strip()]
    words = lines[-1:] if row.state != "passed" or piece.judge is None else []
    if path.exists():
        try:
            row.figures = json.loads(path.read_text(encoding="utf-8"))
            if piece.judge is not None and row.figures is not None:
                words += piece.judge(row.figures)
            elif row.figures is not None and "words" in row.figures:
                words = [str(row.figures["words"])]
            elif row.figures is not None and isinstance(row.figures.get("ways"), list):
                words = [f"{way['name']} {way['median']:.4g} s" for way in row.figures["ways"] if way["median"]]
        except (ValueError, KeyError, TypeError) as error:
            words.append(f"its JSON can't be read: {type(error).__name__}: {error}")
    return [word.strip()[:600] for word in words]


def page(rows: Sequence[Row], facts: dict[str, str], options: argparse.Namespace, spent: float) -> str:
    """All rows as Markdown; tables and the ends of outputs below."""
    size = "tiny sizes, which show that it runs and measure nothing" if options.tiny else "full size"
    lines = ["# GPU proof", "", f"`python {' '.join(sys.argv)}`", "", f"{size}; {spent:.0f} s.", ""]
    lines += ["| piece | claim | state | s | found |", "|---|---|---|---|---|"]
    for row in rows:
        words = "; ".join(row.words).replace("|", "/")
        lines.append(f"| {row.name} | {row.claim} | **{row.state}** | {row.seconds:.0f} | {words} |")
    lines += ["", *(f"- {name}: {value}" for name, value in facts.items())]
    for row in rows:
        if row.output:
            end = _end(row.output)
            lines += ["", f"## {row.name}", "", f"`{row.command.replace(str(ROOT) + '/', '')}`", "", end]
    return "\n".join(lines) + "\n"


def _end(output: str) -> str:
    """The tables of an output as they are, else its last lines."""
    table = [line for line in output.splitlines() if line.startswith("|")]
    return "\n".join(table) if len(table) > 2 else f"```\n{output.strip()[-_TAIL:]}\n```"


def save(rows: Sequence[Row], facts: dict[str, str], options: argparse.Namespace, spent: float) -> None:
    """Write both files, whole."""
    options.out.mkdir(parents=True, exist_ok=True)
    document = {"facts": facts, "tiny": options.tiny, "seconds": spent, "pieces": [vars(row) for row in rows]}
    for name, text in (
        ("gpu-proof.json", json.dumps(document, indent=1)),
        ("gpu-proof.md", page(rows, facts, options, spent)),
    ):
        part = options.out / f"{name}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(options.out / name)


def install(wheels: Path | None, target: Path) -> str:
    """Install the wheels into a folder of their own where a package is missing; what was done, in words."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if not missing:
        return "everything was installed"
    if wheels is None:
        return f"missing: {', '.join(missing)}; give --wheels DIR"
    files = sorted(str(path) for path in wheels.glob("*.whl"))
    command = [
        _PYTHON,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-index",
        "--no-deps",
        "--no-compile",
        "--target",
        str(target),
    ]
    ended = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    if ended.returncode:
        return f"the wheels of {wheels} could not be installed: {ended.stderr.strip()[-300:]}"
    return f"{', '.join(missing)} were missing; {len(files)} wheels of {wheels} installed for this command"


def unpacked(photographs: Path | None, target: Path) -> Path | None:
    """The folder of photographs; an archive is unpacked first."""
    if photographs is None or photographs.is_dir():
        return photographs
    with tarfile.open(photographs) as archive:
        archive.extractall(target, filter="data")
    return target


def facts_of(environment: dict[str, str]) -> dict[str, str]:
    """Facts of the machine, asked in a process that sees the wheels."""
    code = "import json; from benchmarks.side_by_side import machine_facts; print(json.dumps(machine_facts()))"
    ended = subprocess.run(
        [_PYTHON, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    try:
        found: dict[str, str] = json.loads(ended.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {"machine": f"could not be asked: {ended.stderr.strip()[-300:]}"}
    return found


def parsed() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--wheels", type=Path, default=None)
    parser.add_argument("--photographs", type=Path, default=None)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--only", default="", help="names of pieces, separated by semicolons")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--tiny-limit", type=float, default=180.0, help="seconds that a piece may take with --tiny")
    parser.add_argument("--list", action="store_true", help="only the names of the pieces")
    options = parser.parse_args()
    options.out = options.out.resolve()
    for name in ("wheels", "photographs"):
        given = getattr(options, name)
        setattr(options, name, None if given is None else given.resolve())
    return options


def main() -> None:
    """Run what there is time for."""
    begun = time.monotonic()
    options = parsed()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        if not options.list:
            done = install(options.wheels, scratch / "site")
        # Packages of the machine come first where both have one: its torch must stay its own.
        sys.path.append(str(scratch / "site"))
        if options.device == "auto":
            import torch

            options.device = "cuda" if torch.cuda.is_available() else "cpu"
        options.tiny = options.tiny or options.device == "cpu"
        environment = _environment(scratch / "site")
        if options.list:
            print("\n".join(piece.name for piece in pieces(options, scratch)))
            return
        options.photographs = unpacked(options.photographs, scratch / "photographs")
        facts = facts_of(environment) | {"packages": done}
        rows: list[Row] = []
        only = {name.strip() for name in options.only.split(";") if name.strip()}
        for piece in pieces(options, scratch):
            if only and piece.name not in only:
                continue
            left = begun + 60 * options.minutes - time.monotonic()
            row = run_piece(piece, left, options, environment)
            rows.append(row)
            save(rows, facts, options, time.monotonic() - begun)
            print(f"{row.state:8} {row.seconds:5.0f} s  {row.name}: {'; '.join(row.words)}", flush=True)
    sys.exit(any(row.state not in ("passed", "left out") for row in rows))


def _environment(site: Path) -> dict[str, str]:
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")]), str(site)]
    fixed = {"PYTHONPATH": os.pathsep.join(path), "CUBLAS_WORKSPACE_CONFIG": ":4096:8", "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **fixed, "SIMCLR_TUI_NOTIFY": "off"}


if __name__ == "__main__":
    main()
