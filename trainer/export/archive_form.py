"""How the archive of a run is laid out, and what of one is believed.

A plain tar: first `archive.json`, which says what the run's row is and names every other member with its size and
SHA-256, and has a digest over itself; then `rows/<table>.jsonl` and `files/<path in the run's folder>`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.errors import StoreVersionError, UsageError
from trainer.manifest import SHA256, is_whole
from trainer.seal import SEAL, is_intact
from trainer.store.connect import SCHEMA_VERSION
from trainer.store.pages import KEYS

FORMAT = 1
MADE_BY = "simclr-tui archive"
CONTENTS = "archive.json"
LARGEST_CONTENTS = 16 << 20
"""Bytes of the list of members; a run has some dozens of them."""

ROWS, FILES = "rows/", "files/"

_TOP = re.compile(r"log\.txt|(checkpoints|evaluations)/.+")
"""What of a run's folder is packed."""

_LONGEST_PART, _MOST_PARTS = 200, 6


class BadArchiveError(ValueError):
    """An archive that can't be believed; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A file in an archive."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What `archive.json` says."""

    run: Mapping[str, Any]
    """Columns of `runs`, not yet judged."""
    members: Mapping[str, Member] = field(default_factory=dict)
    """By name."""
    left_out: tuple[str, ...] = ()
    """Sentences on what could not be packed."""

    def document(self, version: str) -> dict[str, Any]:
        """As JSON has it, without the digest over it."""
        members = [{"name": one.name, "bytes": one.bytes, "sha256": one.sha256} for one in self.members.values()]
        about = {"made_by": MADE_BY, "version": version, "format": FORMAT, "schema": SCHEMA_VERSION}
        return about | {"run": dict(self.run), "members": members, "left_out": list(self.left_out)}


def read_contents(data: bytes, archive: Path) -> Contents:
    """What the bytes of `archive.json` say, once all of it is of the right kind but the run's row.

    Raises:
        BadArchiveError: they can't be believed.
        StoreVersionError: a newer version made them.
        UsageError: they are of another program.
    """
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadArchiveError(f"its {CONTENTS} is not JSON") from error
    if not isinstance(values, dict) or values.get("made_by") != MADE_BY:
        raise no_archive(archive)
    newer = [
        name for name, known in (("format", FORMAT), ("schema", SCHEMA_VERSION)) if _above(values.get(name), known)
    ]
    if newer:
        raise StoreVersionError(f"{archive} was made by a newer version of simclr-tui; upgrade simclr-tui")
    if SEAL not in values or not is_intact(values):
        raise BadArchiveError(f"its {CONTENTS} is not as it was written")
    run, members, left_out = values.get("run"), values.get("members"), values.get("left_out", [])
    if not isinstance(run, dict) or not isinstance(members, list) or not isinstance(left_out, list):
        raise BadArchiveError(f"its {CONTENTS} lacks the run or the members")
    found = [_member(one) for one in members]
    by_name = {one.name: one for one in found}
    if len(by_name) < len(found):
        raise BadArchiveError(f"its {CONTENTS} names a member twice")
    return Contents(run=run, members=by_name, left_out=tuple(map(str, left_out)))


def no_archive(archive: Path) -> UsageError:
    """The sentence on a file that is something else."""
    return UsageError(f"{archive} is no archive of simclr-tui; name one that `simclr-tui export --to archive` made")


def _above(value: Any, known: int) -> bool:
    return type(value) is int and value > known


def _member(values: Any) -> Member:
    if not isinstance(values, dict):
        raise BadArchiveError("a member is no JSON object")
    name, size, digest = values.get("name"), values.get("bytes"), values.get("sha256")
    if type(name) is not str or not is_member_name(name):
        raise BadArchiveError(f"a member has the name {str(name)[:80]!r}, which none has in an archive")
    if type(size) is not int or not is_whole(size) or type(digest) is not str or not SHA256.fullmatch(digest):
        raise BadArchiveError(f"{name} has no size or no SHA-256")
    return Member(name=name, bytes=size, sha256=digest)


def is_member_name(name: str) -> bool:
    """Whether a member may be called so: a table's rows, or a file that a run's folder has, and below it."""
    if name.startswith(ROWS):
        return name.removeprefix(ROWS).removesuffix(".jsonl") in KEYS and name.endswith(".jsonl")
    path = name.removeprefix(FILES)
    return name.startswith(FILES) and is_inside(path) and _TOP.fullmatch(path) is not None


def is_inside(path: str) -> bool:
    """Whether a relative path leads nowhere but below its folder, and is one on every system."""
    parts = path.split("/")
    return len(parts) <= _MOST_PARTS and all(
        part.strip(".")
        and len(part.encode(errors="replace")) <= _LONGEST_PART
        and part.isprintable()
        and "\\" not in part
        for part in parts
    )


def rows_name(table: str) -> str:
    """The member that has the rows of a table."""
    return f"{ROWS}{table}.jsonl"
