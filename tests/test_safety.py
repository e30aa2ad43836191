"""Nothing in the tree loads, evaluates or runs what came from a file: held over every Python file.

`torch.load` has `weights_only=True` written out, pickles are never loaded, arrays never with objects in them, and no
command goes through a shell. Aliases are followed: `from torch import load as read` is still torch's.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("trainer", "simclr_tui", "tests", "benchmarks", "docs")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

UNPICKLERS = frozenset({"pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"})
NEVER = frozenset(
    {"builtins.eval", "builtins.exec", "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
    | {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "torch.serialization._legacy_load", "numpy.core.multiarray"}
    | {f"{module}.{name}" for module in UNPICKLERS for name in ("load", "loads", "open", "Unpickler")}
    | {"pandas.read_pickle", "pathlib.Path.read_pickle", "code.interact", "runpy.run_path"}
)
TORCH_LOADERS = frozenset({"torch.load", "torch.serialization.load"})
OF_OUR_OWN_MAKING = {"pickle.loads": "pickle.dumps", "cloudpickle.loads": "cloudpickle.dumps"}
"""What may be loaded where its only argument is made in the same expression, or in the same function."""


class _Reader(ast.NodeVisitor):
    """Follows what names mean in a module, and notes the calls that must not be."""

    def __init__(self) -> None:
        """Begin with the builtins, which need no import."""
        self.names = {"eval": "builtins.eval", "exec": "builtins.exec"}
        self.guilty: list[tuple[int, str]] = []
        self._made: set[str] = set()

    def visit_Import(self, node: ast.Import) -> None:
        """`import a.b as c`."""
        for alias in node.names:
            self.names[alias.asname or alias.name.partition(".")[0]] = (
                alias.name if alias.asname else alias.name.partition(".")[0]
            )

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """`from a import b as c`; an import of everything from a loader's module can't be followed."""
        for alias in node.names:
            self.names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            if alias.name == "*" and (node.module or "") in UNPICKLERS | {"torch", "os", "subprocess", "numpy"}:
                self.guilty.append((node.lineno, f"from {node.module} import *"))

    def visit_Assign(self, node: ast.Assign) -> None:
        """`load = torch.load` is an alias, and `data = pickle.dumps(…)` is of our own making."""
        for target in node.targets:
            if isinstance(target, ast.Name):
                meant = self._meaning(node.value)
                if meant is not None:
                    self.names[target.id] = meant
                made = isinstance(node.value, ast.Call) and self._meaning(node.value.func)
                if made in OF_OUR_OWN_MAKING.values():
                    self._made.add(target.id)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """A call of something that is known by name."""
        meant = self._meaning(node.func)
        if meant is not None:
            self._judge(node, meant)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """A function that is handed on is as good as called."""
        meant = self._meaning(node)
        if meant in TORCH_LOADERS and not isinstance(getattr(node, "called_by", None), ast.Call):
            self.guilty.append((node.lineno, f"{meant} without weights_only=True"))
        self.generic_visit(node)

    def _meaning(self, node: ast.AST) -> str | None:
        if isinstance(node, ast.Name):
            return self.names.get(node.id)
        if isinstance(node, ast.Attribute):
            owner = self._meaning(node.value)
            return f"{owner}.{node.attr}" if owner else None
        if isinstance(node, ast.Call) and self._meaning(node.func) in (
            "importlib.import_module",
            "builtins.__import__",
        ):
            first = node.args[0] if node.args else None
            return str(first.value) if isinstance(first, ast.Constant) else None
        return None

    def _judge(self, node: ast.Call, meant: str) -> None:
        for child in ast.walk(node.func):
            vars(child)["called_by"] = node
        words = {word.arg: word.value for word in node.keywords}
        if meant in TORCH_LOADERS and not _is(words.get("weights_only"), True):
            self.guilty.append((node.lineno, f"{meant} without weights_only=True"))
        if meant == "numpy.load" and "allow_pickle" in words and not _is(words["allow_pickle"], False):
            self.guilty.append((node.lineno, "numpy.load with allow_pickle"))
        if meant.startswith(("subprocess.", "asyncio.")) and "shell" in words and not _is(words["shell"], False):
            self.guilty.append((node.lineno, f"{meant} with a shell"))
        if meant == "asyncio.create_subprocess_shell":
            self.guilty.append((node.lineno, meant))
        if meant in NEVER and not self._is_of_our_own_making(node, meant):
            self.guilty.append((node.lineno, meant))

    def _is_of_our_own_making(self, node: ast.Call, meant: str) -> bool:
        (argument,) = node.args if len(node.args) == 1 else (None,)
        if isinstance(argument, ast.Name):
            return meant in OF_OUR_OWN_MAKING and argument.id in self._made
        return isinstance(argument, ast.Call) and self._meaning(argument.func) == OF_OUR_OWN_MAKING.get(meant, "none")


def _is(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def guilty(source: str) -> list[tuple[int, str]]:
    """The lines of a module that load or run what must not be, and what each does."""
    reader = _Reader()
    tree = ast.parse(source)
    # Imports first: a function may use what is imported below it.
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            reader.visit(node)
    reader.guilty.clear()
    reader.visit(tree)
    return sorted(set(reader.guilty))


def test_no_file_of_the_tree_runs_what_it_reads() -> None:
    found = {str(path.relative_to(ROOT)): guilty(path.read_text(encoding="utf-8")) for path in FILES}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_the_tree_is_looked_at() -> None:
    names = {str(path.relative_to(ROOT)) for path in FILES}
    assert {"trainer/payload.py", "simclr_tui/__main__.py", "tests/test_safety.py"} <= names
    assert "torch.load(" in (ROOT / "trainer" / "payload.py").read_text(encoding="utf-8")


SAMPLES = [
    "import torch\ntorch.load(f)",
    "import torch\ntorch.load(f, weights_only=False)",
    "import torch\ntorch.load(f, weights_only=flag)",
    "import torch\ntorch.load(f, **options)",
    "import torch as t\nt.load(f)",
    "from torch import load\nload(f)",
    "from torch import load as read\nread(f)",
    "import torch.serialization\ntorch.serialization.load(f)",
    "import torch\nread = torch.load\nread(f)",
    "import torch\nmap(torch.load, files)",
    "import functools, torch\nread = functools.partial(torch.load, weights_only=False)",
    "def late():\n    from torch import load\n    return load(f)",
    "import pickle\npickle.load(f)",
    "import pickle\npickle.loads(data)",
    "from pickle import loads\nloads(data)",
    "import pickle as p\np.Unpickler(f).load()",
    "import importlib\nimportlib.import_module('pickle').loads(data)",
    "import marshal\nmarshal.loads(data)",
    "import shelve\nshelve.open('x')",
    "import dill\ndill.load(f)",
    "import joblib\njoblib.load('x')",
    "from pickle import *\nloads(data)",
    "import numpy as np\nnp.load('x', allow_pickle=True)",
    "import numpy as np\nnp.load('x', allow_pickle=flag)",
    "eval(text)",
    "exec(text)",
    "import builtins\nbuiltins.eval(text)",
    "import yaml\nyaml.load(f)",
    "import os\nos.system('ls')",
    "from os import system\nsystem('ls')",
    "import os\nos.popen('ls')",
    "import subprocess\nsubprocess.run('ls', shell=True)",
    "import subprocess as s\ns.Popen('ls', shell=flag)",
    "import asyncio\nasyncio.create_subprocess_shell('ls')",
    "import subprocess\nsubprocess.getoutput('ls')",
]
"""What must be found guilty."""

INNOCENT = [
    "import torch\ntorch.load(f, weights_only=True)",
    "from torch import load\nload(f, map_location='cpu', weights_only=True)",
    "import json\njson.load(f)\njson.loads(text)",
    "import tomllib\ntomllib.load(f)",
    "import pickle\npickle.dumps(x)\ncopy = pickle.loads(pickle.dumps(x))",
    "import pickle\ndata = pickle.dumps(x)\ncopy = pickle.loads(data)",
    "import numpy as np\nnp.load('x')\nnp.load('x', allow_pickle=False)",
    "model.eval()",
    "import subprocess\nsubprocess.run(['ls'], shell=False)",
    "import os\nos.open('x', 0)",
    "load = store.load\nload(f)",
]
"""What must not be."""


@pytest.mark.parametrize("source", SAMPLES)
def test_the_rule_finds_what_it_is_for(source: str) -> None:
    assert guilty(source)


@pytest.mark.parametrize("source", INNOCENT)
def test_the_rule_lets_the_rest_pass(source: str) -> None:
    assert guilty(source) == []
