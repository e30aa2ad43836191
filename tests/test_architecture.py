"""What must hold over the whole tree, whoever writes the next line."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = [*sorted((ROOT / "trainer").rglob("*.py")), *sorted((ROOT / "simclr_tui").rglob("*.py"))]
LONGEST_MODULE, LONGEST_FUNCTION = 350, 50


def calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    """Calls of `something.name(...)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
            yield node


def loads_without_weights_only(source: str) -> list[int]:
    """Lines that call torch.load without weights_only=True."""
    found = []
    for call in calls(ast.parse(source), "load"):
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        if isinstance(owner, ast.Name) and owner.id == "torch":
            safe = any(
                word.arg == "weights_only" and isinstance(word.value, ast.Constant) and word.value.value is True
                for word in call.keywords
            )
            found += [] if safe else [call.lineno]
    return found


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpickled_that_could_run_code(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert loads_without_weights_only(source) == []
    assert "import pickle" not in source


def test_the_rule_about_loading_would_notice() -> None:
    assert loads_without_weights_only("import torch\ntorch.load(f)\ntorch.load(f, weights_only=False)") == [2, 3]


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_stay_small(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= LONGEST_MODULE
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, f"{node.name} at line {node.lineno}"


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_and_everything_public_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) or not tree.body
    for node in public(tree):
        assert ast.get_docstring(node), f"{node.name} at line {node.lineno}"


def public(tree: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Functions and classes that others may use, and the methods of those classes."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node)
