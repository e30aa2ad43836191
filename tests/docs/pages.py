"""What the README and the docs tell people to type: every command and every Python example, with where it stands."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHELL = ("", "sh")
"""Languages of blocks whose lines are commands."""
NOT_TYPED = ("text", "toml", "json", "ini", "yaml", "bash")
PYTHON = "python"

_BLOCK = re.compile(r"^```([\w-]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:simclr-tui|python -m trainer\.run|python -m trainer\.preview)(?: [^`]*)?)`")
_PLACEHOLDERS = {
    **dict.fromkeys(("RUN", "BENCH", "A", "B"), "first"),
    **dict.fromkeys(("N", "STEP", "DAYS", "SECONDS", "K"), "5"),
    **dict.fromkeys(("NAME", "TEXT", "FILE", "PATH", "DIR", "FOLDER", "ID"), "named"),
    "DEVICE": "cpu",
    "FORMAT": "csv",
    "LOGGER": "tensorboard",
}
"""What stands in a sentence for something of the reader's own, as words that can be parsed."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command line without what the shell does with it."""

    page: str
    words: tuple[str, ...]
    in_block: bool
    """Whether it stands in a block, to be typed as it is; else in a sentence."""

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def pages() -> list[Path]:
    """The README, CONTRIBUTING and all docs but the reference, which the code writes."""
    docs = ROOT / "docs"
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(docs.glob("*.md"))]


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, text) of every block."""
    return _BLOCK.findall(text)


def commands_of(page: str, text: str) -> Iterator[Command]:
    """Every command of a page: those of its blocks, then those of its sentences."""
    for language, block in blocks(text):
        if language in SHELL:
            for line in block.replace("\\\n", " ").splitlines():
                try:
                    found = list(split(line))
                except ValueError as error:
                    raise LookupError(f"{page}: {line!r} is no command ({error}); give its block a language") from None
                yield from (Command(page, tuple(words), True) for words in found)
    for line in _INLINE.findall(_BLOCK.sub("", text)):
        yield from (Command(page, tuple(filled(words)), False) for words in split(line))


def split(line: str) -> Iterator[list[str]]:
    """The commands of a line, without comments, variables before them and redirections."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    is_target = False
    for token in lexer:
        if token in ("&&", ";", "|"):
            yield words
            words = []
        elif token in (">", "<", ">>"):
            is_target = True
        elif is_target:
            is_target = False
        else:
            words.append(token)
    if words:
        yield words


def filled(words: list[str]) -> Iterator[str]:
    """The words of a sentence's command with something in the place of what the reader fills in."""
    before = ""
    for word in words:
        if word == "…":
            if before.startswith("--"):  # the value of an option
                yield "1e-4"
        elif "…" not in word:
            first = word.strip("[]").partition("|")[0]
            yield _PLACEHOLDERS.get(first, first)
        before = word


def examples() -> list[tuple[str, str]]:
    """(page, code) of every Python example."""
    return [
        (page.name, code)
        for page in pages()
        for language, code in blocks(page.read_text(encoding="utf-8"))
        if language == PYTHON
    ]


def all_commands() -> list[Command]:
    """Every command of every page."""
    return [command for page in pages() for command in commands_of(page.name, page.read_text(encoding="utf-8"))]
