"""What a program that is called in the process of the test would end with."""

from collections.abc import Callable


def code_of(program: Callable[[list[str]], int], words: list[str]) -> int:
    """The exit code of a `main` for some words, also where it is argparse that ends it."""
    try:
        return program(words)
    except SystemExit as end:
        return int(end.code or 0)
