"""`python -m trainer.export`: the encoder of a run for other programs, the part of `export` that needs torch."""

import sys
from collections.abc import Sequence
from contextlib import closing

from trainer.entry import answer
from trainer.errors import ExitCode
from trainer.export.encoder import described, write_encoder
from trainer.export.target import plain_name
from trainer.options import OptionParser
from trainer.paths import check_runs_dir, runs_dir, typed_path
from trainer.store.reader import StoreReader


def main(arguments: Sequence[str] | None = None) -> int:
    """Write an encoder and say where it is; the exit code."""
    options = _parser().parse_args(arguments)

    def write() -> int:
        runs = runs_dir(options.runs_dir)
        check_runs_dir(runs)
        with closing(StoreReader.open(runs)) as reader:
            run = reader.find(options.run)
            out = typed_path(options.out or f"{plain_name(run.name)}-encoder").absolute()
            found = write_encoder(reader, run, out, step=options.step, fc=options.fc, force=options.force)
        print(described(found, run, out, as_json=options.json))  # noqa: T201
        return ExitCode.FINISHED

    return answer(write)


def _parser() -> OptionParser:
    parser = OptionParser(
        prog="python -m trainer.export",
        description="Write the encoder of a run as safetensors and as a plain state_dict, with a card of what it is.",
    )
    parser.add_argument("--runs-dir", metavar="DIR", help="runs folder [default $SIMCLR_TUI_RUNS, else ./runs]")
    parser.add_argument("--run", metavar="RUN", required=True, help="id, beginning of the id, or name")
    parser.add_argument("--step", metavar="STEP", type=int, default=0, help="of the checkpoint [default the newest]")
    parser.add_argument("--fc", metavar="K", type=int, default=0, help="add a last layer of K classes, all zeros")
    parser.add_argument("--out", metavar="PATH", help="the folder [default the run's name with -encoder, here]")
    parser.add_argument("--force", action="store_true", help="write over an export that is there")
    parser.add_argument("--json", action="store_true", help="print one JSON document for scripts")
    return parser


if __name__ == "__main__":
    sys.exit(main())
