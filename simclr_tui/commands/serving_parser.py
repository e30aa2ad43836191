"""The options of `serve`."""

import argparse
from typing import Any

from simclr_tui.commands.verb_options import add_verb

TOKEN_VARIABLE = "SIMCLR_TUI_TOKEN"
_HOST, _PORT = "127.0.0.1", 8000


def add_serve_verb(verbs: Any) -> None:
    """Add it to the parsers of all verbs."""
    serve = add_verb(
        verbs,
        "serve",
        "show the dashboard in a browser until Ctrl-C; needs the extra simclr-tui[serve]",
        usage="simclr-tui serve [--port N] [--host HOST] [--token-file FILE | --no-token] [--public-url URL]",
        json=False,
    )
    serve.add_argument("--port", type=_port, metavar="N", default=_PORT, help="0 is a free one [default %(default)s]")
    serve.add_argument(
        "--host",
        default=_HOST,
        help="address to listen on; anything but a loopback one lets others connect [default %(default)s]",
    )
    token = serve.add_mutually_exclusive_group()
    token.add_argument(
        "--token-file",
        metavar="FILE",
        help=f"take the token from this file [default ${TOKEN_VARIABLE}, else a new one at each start]",
    )
    token.add_argument(
        "--no-token", action="store_true", help="let every user and program of this machine in; on loopback only"
    )
    serve.add_argument(
        "--public-url", metavar="URL", help="the address at which a proxy shows it, such as https://runs.example.org"
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port from 0 to 65535")
    return int(text)
