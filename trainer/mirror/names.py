"""Which loggers there are, and whether the packages that they need are installed."""

import argparse
from dataclasses import dataclass
from importlib.util import find_spec

from trainer.errors import UsageError
from trainer.quote import quoted


@dataclass(frozen=True, slots=True)
class Logger:
    """One that runs can be mirrored to."""

    title: str
    """As its makers write it."""
    package: str
    """The module that is imported; the extra of the same install has the logger's own name."""
    sink: str
    """The class that writes to it, as module:name below `trainer.mirror`."""


LOGGERS = {
    "tensorboard": Logger("TensorBoard", "tensorboard", "to_tensorboard:TensorBoardSink"),
    "wandb": Logger("Weights & Biases", "wandb", "to_wandb:WandbSink"),
    "mlflow": Logger("MLflow", "mlflow", "to_mlflow:MlflowSink"),
    "trackio": Logger("Trackio", "trackio", "to_trackio:TrackioSink"),
}
"""By the name that options and extras have."""

NONE = "none"
"""Given in the place of names, it ends the mirroring of a run."""


def logger_names(text: str) -> tuple[str, ...]:
    """The loggers that a command line names, for argparse: names with commas between them, or `none`."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if names == (NONE,):
        return ()
    for name in names:
        if name not in LOGGERS:
            raise argparse.ArgumentTypeError(f"{quoted(name)} is no logger; choose from {', '.join(LOGGERS)}, or none")
    return names


def add_mirror_options(parser: argparse.ArgumentParser | argparse._ArgumentGroup, *, default: str = "none") -> None:
    """Add the options by which a run is mirrored from its start.

    Args:
        parser: to add them to.
        default: what holds where neither is given.
    """
    parser.add_argument(
        "--mirror",
        type=logger_names,
        metavar="LOGGER,…",
        help=f"hand every figure on as it comes to {', '.join(LOGGERS)}; none ends that [default {default}]",
    )
    parser.add_argument("--tensorboard", action="store_true", help="the same as --mirror tensorboard")


def chosen(options: argparse.Namespace) -> tuple[str, ...] | None:
    """The loggers that options ask for, None where they say nothing.

    Raises:
        UsageError: the package of one of them is not installed.
    """
    mirror: tuple[str, ...] | None = options.mirror
    if options.tensorboard:
        mirror = tuple(dict.fromkeys(("tensorboard", *(mirror or ()))))
    for name in mirror or ():
        check_installed(name)
    return mirror


def is_installed(name: str) -> bool:
    """Whether the package of a logger can be imported. Imports nothing of it."""
    found = find_spec(LOGGERS[name].package)
    # Below the folder that Python was started in a client may have left its files in a folder of its own name.
    return found is not None and found.origin is not None


def check_installed(name: str, *, option: str = "--mirror") -> None:
    """See that the package of a logger is there, which an option asks for.

    Raises:
        UsageError: it is not.
    """
    if not is_installed(name):
        raise UsageError(f"{option}: {name} needs `pip install 'simclr-tui[{name}]'`; or leave it out")
