"""Versions of this program and of what it is made of, from their metadata: neither torch nor Textual is imported."""

import argparse
import ast
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

from trainer.store.guard import sqlite_health

PACKAGES = ("torch", "torchvision", "kornia", "textual", "sqlite-utils")
_MISSING = "not installed here"


def version_of(package: str) -> str | None:
    """The version of an installed package, or None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def torch_build() -> str | None:
    """What torch was built for: `CUDA 13.2`, `ROCm 7.1` or `the CPU alone`; None where nobody can tell.

    Read out of `torch/version.py`, whose values are written there as plain strings.
    """
    try:
        source = Path(str(distribution("torch").locate_file("torch/version.py"))).read_text(encoding="utf-8")
        values = _strings(ast.parse(source))
    except (PackageNotFoundError, OSError, SyntaxError, ValueError):
        return None
    if values.get("cuda"):
        return f"CUDA {values['cuda']}"
    if values.get("hip"):
        return f"ROCm {values['hip']}"
    return "the CPU alone" if "cuda" in values else None


def _strings(tree: ast.Module) -> dict[str, str | None]:
    """The names of a module that are given a string or None."""
    found: dict[str, str | None] = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign):
            targets: Sequence[ast.expr] = [node.target]
        elif isinstance(node, ast.Assign):
            targets = node.targets
        else:
            continue
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str | None):
            found |= {target.id: node.value.value for target in targets if isinstance(target, ast.Name)}
    return found


def versions() -> list[tuple[str, str]]:
    """Names with their versions in words, this program's first and SQLite's last."""
    found = [
        ("simclr-tui", version_of("simclr-tui") or _MISSING),
        ("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
    ]
    for package in PACKAGES:
        words = version_of(package) or _MISSING
        build = torch_build() if package == "torch" else None
        found.append((package, f"{words}, built for {build}" if build else words))
    return [*found, ("SQLite", sqlite_health().version)]


class VersionAction(argparse.Action):
    """`--version`: a line for each version; nothing is looked up before it is asked for."""

    def __init__(self, option_strings: Sequence[str], **options: Any) -> None:
        """Takes what argparse gives an action without a value."""
        super().__init__(option_strings, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print them and end the process."""
        print(*(f"{name} {words}" for name, words in versions()), sep="\n")  # noqa: T201
        parser.exit()


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add `--version` to a parser."""
    parser.add_argument(
        "--version",
        action=VersionAction,
        default=argparse.SUPPRESS,
        help="show the versions of this program, torch, CUDA, SQLite and the rest",
    )
