"""The options of `export`, `mirror` and `import`."""

from typing import Any

from simclr_tui.commands.verb_options import add_verb, run_argument
from trainer.mirror.names import LOGGERS

FORMATS = ("csv", "jsonl", "parquet", "tensorboard", "archive", "encoder")


def add_exporting_verbs(verbs: Any) -> None:
    """Add them to the parsers of all verbs."""
    export = add_verb(
        verbs,
        "export",
        "write a run for other programs: its tables, event files, its encoder, or an archive for another machine",
        usage=f"simclr-tui export RUN --to {{{','.join(FORMATS)}}} [--out PATH] [--step STEP] [--fc K] [--force] "
        "[--json]",
    )
    run_argument(export)
    export.add_argument(
        "--to",
        required=True,
        choices=FORMATS,
        metavar="FORMAT",
        help="csv, jsonl or parquet: a folder with a file a table; tensorboard: a folder with an event file; archive: "
        "one .tar with rows, checkpoints and their hashes, which `simclr-tui import` takes; encoder: a folder with the "
        "weights as safetensors and as a state_dict, and a card",
    )
    export.add_argument("--out", metavar="PATH", help="what to write [default the run's name and the format, here]")
    export.add_argument("--step", type=int, metavar="STEP", help="encoder: of this checkpoint [default the newest]")
    export.add_argument(
        "--fc",
        type=int,
        metavar="K",
        help="encoder: with a last layer of K classes and zeros, as torchvision's have it",
    )
    export.add_argument("--force", action="store_true", help="write over an export that is there")
    mirror = add_verb(
        verbs,
        "mirror",
        "hand a run's figures to TensorBoard, Weights & Biases, MLflow or Trackio, as far as those have not got them",
        usage=f"simclr-tui mirror RUN --to {{{','.join(LOGGERS)}}} [--follow]",
        json=False,
    )
    run_argument(mirror)
    mirror.add_argument("--to", required=True, choices=tuple(LOGGERS), metavar="LOGGER", help=", ".join(LOGGERS))
    mirror.add_argument("--follow", action="store_true", help="go on until the run has ended")
    imported = add_verb(
        verbs,
        "import",
        "add a run from an archive, or from a folder of TensorBoard's event files to compare with",
        usage="simclr-tui import PATH [--name NAME] [--json]",
    )
    imported.add_argument("path", metavar="PATH", help="an archive of `simclr-tui export`, or a folder of event files")
    imported.add_argument("--name", default="", help="what to call the run [default the archive's, or the folder's]")
