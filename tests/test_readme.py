"""The README and the docs say what is there."""

import re
import tomllib
from pathlib import Path

from trainer.errors import ExitCode

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks() -> list[str]:
    """The README's code blocks, in order."""
    return re.findall(r"^```\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_the_first_two_blocks_are_one_line_each_and_ci_runs_the_second() -> None:
    first, second = blocks()[:2]
    assert first.count("\n") == second.count("\n") == 1
    assert first.strip().endswith("simclr-tui demo")
    ci = (ROOT / ".ci" / "run").read_text()
    commands = [line for line in ci.splitlines() if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == [second.strip()]


def test_everything_that_is_linked_or_named_as_a_file_exists() -> None:
    for page in DOCS:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
        for target in re.findall(r"`((?:tests|docs|benchmarks|trainer|simclr_tui)/[\w./-]+)`", text):
            assert (ROOT / target).exists(), f"{page.name}: {target}"


def test_the_exit_codes_are_those_of_the_program() -> None:
    table = README.partition("## Exit codes")[2].partition("## ")[0]
    documented = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", table, flags=re.M) for code in row.split(",")}
    assert documented == {int(code) for code in ExitCode}


def test_every_table_and_every_step_column_is_documented(store: object) -> None:
    from trainer.store import RunStore

    assert isinstance(store, RunStore)
    text = (ROOT / "docs" / "store.md").read_text(encoding="utf-8")
    tables = store.connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\'"
    )
    for (name,) in tables:
        assert f"| `{name}` |" in text, name
    for column in store.connection.execute("SELECT name FROM pragma_table_info('steps')"):
        assert column[0] in text, column[0]


def test_every_dependency_has_its_reason_above_it() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    lines = text.splitlines()
    extras = [requirement for extra in project["optional-dependencies"].values() for requirement in extra]
    for requirement in project["dependencies"] + extras:
        at = next(number for number, line in enumerate(lines) if f'"{requirement}"' in line)
        above = [line for line in lines[max(0, at - 4) : at] if line.strip().startswith("#")]
        assert above, requirement
