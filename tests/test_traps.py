"""docs/traps.md names tests; they must be there."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "traps.md").read_text(encoding="utf-8")


def test_all_35_are_answered_in_order() -> None:
    rows = re.findall(r"^\| (\d+) \| .+ \| .+ \|$", PAGE, flags=re.MULTILINE)
    assert [int(number) for number in rows] == list(range(1, 36))


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", PAGE)
    assert len(named) > 35
    for file, name in named:
        (path,) = (ROOT / "tests").rglob(file)
        assert not name or f"def {name}(" in path.read_text(encoding="utf-8"), f"{file}::{name}"
