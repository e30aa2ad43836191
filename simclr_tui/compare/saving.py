"""Writing a comparison into a file that the dashboard was told; called in a thread, since it waits for the disk."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from textual.message import Message

from simclr_tui.compare.formats import WRITERS
from simclr_tui.compare.table import Comparison
from simclr_tui.messages import ActionDone, ActionFailed
from trainer.durable import write_durably
from trainer.paths import typed_path

PICTURES = (".svg", ".png")
ENDINGS = (*(f".{name}" for name in WRITERS), *PICTURES)
"""What a file's name may end in; what is written follows from it."""

_LONGEST_NAME = 80
_LONGEST_BYTES = 200
"""Of a proposed name without its ending: file systems take 255 bytes, and a letter may have four."""

_PICTURE_SECONDS = 120


def proposed_name(comparison: Comparison) -> str:
    """A file's name that says what is compared, as far as it stays short."""
    count = len(comparison.headings)
    names = [_safe(one.name) for one in comparison.headings]
    whole = f"comparison-{'-'.join(names)}"
    short = f"comparison-{names[0][:_LONGEST_NAME]}-and-{count - 1}-more"
    name = whole if len(whole) <= _LONGEST_NAME else short
    return f"{name.encode()[:_LONGEST_BYTES].decode(errors='ignore')}.md"


def _safe(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)


def problem_of(text: str) -> str:
    """What is wrong with the name of a file, in a sentence; empty where nothing is."""
    path = path_of(text)
    if not text.strip() or path.suffix.lower() not in ENDINGS:
        return f"its ending says what is written: give {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
    try:
        if path.is_dir():
            return f"{path} is a folder; name a file in it"
        if not path.absolute().parent.is_dir():
            return f"there is no folder {path.absolute().parent}; make it, or name another one"
    except OSError as error:
        return f"it can't be the name of a file ({error.strerror}); give another one"
    return ""


def path_of(text: str) -> Path:
    """The file that a person means."""
    return typed_path(text.strip())


def save(comparison: Comparison, text: str, *, runs: Path, unfolded: bool, post: Callable[[Message], object]) -> None:
    """Write a comparison into the file of that name, and say so. A picture is drawn by a process of its own."""
    path = path_of(text).absolute()
    suffix = path.suffix.lower()
    try:
        if suffix in PICTURES:
            sentence = _draw([one.run_id for one in comparison.headings], path, runs=runs, unfolded=unfolded)
            if sentence:
                post(ActionFailed(f"{path}: {sentence}"))
                return
        else:
            write_durably(path, WRITERS[suffix[1:]](comparison, unfolded).encode())
    except OSError as error:
        post(ActionFailed(f"{path}: {error.strerror}; give another name"))
        return
    except subprocess.TimeoutExpired:
        post(ActionFailed(f"{path}: the picture was not ready within {_PICTURE_SECONDS} s; try again"))
        return
    post(ActionDone(f"the comparison is in {path}"))


def _draw(run_ids: Sequence[str], path: Path, *, runs: Path, unfolded: bool) -> str:
    """Let the command draw it: importing matplotlib here would hold the screen up. What went wrong, if anything."""
    words = [sys.executable, "-m", "simclr_tui", "--runs-dir", str(runs.absolute()), "compare", *run_ids]
    words += ["--out", str(path), *(["--all-settings"] if unfolded else [])]
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_PICTURE_SECONDS
    )
    return "" if done.returncode == 0 else done.stderr.strip().removeprefix("simclr-tui: ") or "it could not be drawn"
