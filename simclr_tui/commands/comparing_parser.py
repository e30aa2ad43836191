"""The options of `compare`."""

from typing import Any

from simclr_tui.commands.verb_options import RUN_HELP, add_verb

FORMATS = ("text", "md", "csv", "tex", "json", "svg", "png")


def add_compare_verb(verbs: Any) -> None:
    """Add the verb to the parsers of all verbs."""
    parser = add_verb(
        verbs,
        "compare",
        "show runs side by side: settings that differ, results, speed, cost and evaluations",
        usage="simclr-tui compare RUN RUN [RUN …] [--reference RUN] [--all-settings] [--format FORMAT] [--out FILE]",
        takes_list=True,
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", help=f"{RUN_HELP}; the first is the reference")
    parser.add_argument(
        "--reference", metavar="RUN", help="the one that the others are set against [default the first]"
    )
    parser.add_argument("--all-settings", action="store_true", help="also the settings that all runs have in common")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        metavar=f"{{{','.join(FORMATS)}}}",
        help="of what is written; svg and png are pictures [default by the ending of --out, else text]",
    )
    parser.add_argument("--out", metavar="FILE", help="write it there instead of on the terminal")
