"""The README's table of promises names tests: they are there, the counted ones are counted, and none is left out."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROMISES = 17


def rows(text: str = README) -> list[list[str]]:
    """The cells of the table: number, promise, shown by, counted by, control."""
    section = text.partition("## What is promised")[2].partition("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\| \d.*\|$", section, re.M)]


def named(cell: str) -> list[tuple[str, str]]:
    """Files with their tests: a name without a file belongs to the file named before it."""
    found, file = [], ""
    for path, name in re.findall(r"`(?:(tests/[\w/]+\.py))?(?:::)?(test_\w+)?`", cell):
        file = path or file
        found.append((file, name))
    return found


def marks_in(file: str) -> dict[str, set[str]]:
    """The tests of a file with the names of their marks, those of the module included."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    whole = {mark for node in tree.body if isinstance(node, ast.Assign) for mark in _marks(node.value)}
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            found[node.name] = whole | {mark for one in node.decorator_list for mark in _marks(one)}
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name.startswith(("test_", "Test")):  # a state machine's test case
                found[name] = whole | set(_marks(node.value))
    return found


def _marks(node: ast.AST) -> set[str]:
    names = {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}
    return names & {"reliability", "soak"}


def wrong(text: str) -> list[str]:
    """What the table says that is not so."""
    found = []
    for number, _promise, shown, counted, control in rows(text):
        # Some promises are shown in full each time, so that there is nothing more to count.
        for kind, cell in (
            ("shown", shown),
            ("counted", shown if counted == "the same" else counted),
            ("control", control),
        ):
            if not named(cell):
                found.append(f"{number}: no test is named as {kind}")
            for file, name in named(cell):
                if not (ROOT / file).is_file():
                    found.append(f"{number}: there is no {file}")
                elif name and name not in marks_in(file):
                    found.append(f"{number}: {file} has no {name}")
                elif name and kind == "counted" and counted != "the same" and not marks_in(file)[name]:
                    found.append(f"{number}: {name} is not marked as a counted proof")
                elif name and kind == "shown" and marks_in(file)[name]:
                    found.append(f"{number}: {name} is not in the default suite")
    return found


def test_there_are_seventeen_promises_with_a_test_a_count_and_a_control_each() -> None:
    assert [row[0] for row in rows()] == [str(number) for number in range(1, PROMISES + 1)]
    assert wrong(README) == []


def test_every_counted_proof_is_in_the_table() -> None:
    told = {name for row in rows() for cell in row[2:] for _, name in named(cell)}
    files = sorted((ROOT / "tests" / "reliability").glob("test_*.py"))
    marks = [item for file in files for item in marks_in(str(file.relative_to(ROOT))).items()]
    counted = {name for name, names in marks if "reliability" in names}
    assert counted - told == set()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("tests/reliability/test_nowhere.py", "there is no tests/reliability/test_nowhere.py"),
        ("tests/reliability/test_resume.py::test_nothing", "has no test_nothing"),
    ],
)
def test_a_test_that_is_not_there_is_found(change: str, what: str) -> None:
    first = rows()[0]
    text = README.replace(first[2], f"`{change}`")
    assert any(what in sentence for sentence in wrong(text))
