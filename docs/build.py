"""Make the site of these pages: `python -m docs.build [FOLDER]`, by default in build/docs/.

Everything that Sphinx warns of is an error: a link to nowhere, a page in no table of contents, a heading twice.
"""

import argparse
import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

DOCS = Path(__file__).resolve().parent
USUAL = DOCS.parent / "build" / "docs"
_NEEDED = ("sphinx", "myst_parser", "furo")


def command(source: Path, out: Path) -> list[str]:
    """Sphinx's command line for pages in a folder, by the settings of this one.

    All pages are read anew, or what is wrong with a page that has not changed would be told once alone.
    """
    strict = ["-W", "--keep-going", "-n", "-q", "-E", "-a"]
    words = [*strict, "-b", "html", "-c", DOCS, "-d", out / ".doctrees", source, out]
    return [sys.executable, "-m", "sphinx", *map(str, words)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make it; Sphinx's exit code, or 2 where it is not installed."""
    parser = argparse.ArgumentParser(prog="python -m docs.build", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=USUAL, help="where to [default build/docs]")
    out: Path = parser.parse_args(arguments).folder
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        sys.stderr.write("docs: Sphinx is not installed; install it with `pip install 'simclr-tui[docs]'`\n")
        return 2
    done = subprocess.run(command(DOCS, out), check=False)
    if done.returncode == 0:
        sys.stdout.write(f"{out / 'index.html'}\n")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
