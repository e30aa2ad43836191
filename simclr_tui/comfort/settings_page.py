"""The settings file as a page: a first one with everything commented out, and a JSON Schema for editors. Pure."""

from typing import Any

from simclr_tui.comfort.keymap import all_bindings
from simclr_tui.comfort.user_settings import (
    AUTO,
    DEAREST,
    FASTEST_POLL,
    LONGEST_CURRENCY,
    NOTICE_KINDS,
    NOTICE_WAYS,
    SLOWEST_POLL,
    UserSettings,
)
from simclr_tui.terminal.graphics import WAYS
from simclr_tui.themes import theme_names

_TEXTS = {
    "bell": "ring the terminal's bell",
    "desktop": "show a notice on the desktop (OSC 9 and OSC 777), which the terminal must know",
    "title": "keep the terminal's title up to date",
}
"""What each way of a notice does."""


def schema() -> dict[str, Any]:
    """The JSON Schema of the file, which VS Code and taplo check TOML with."""
    key = {"type": "string", "minLength": 1}
    keys = {
        id_: {
            "description": f"{binding.tooltip} (usually {binding.key})",
            "oneOf": [key, {"type": "array", "items": key, "minItems": 1}],
        }
        for id_, binding in sorted(all_bindings().items())
    }
    ways = {way: {"type": "boolean", "default": True, "description": _TEXTS[way]} for way in NOTICE_WAYS}
    kinds = {"type": "array", "items": {"enum": list(NOTICE_KINDS)}, "default": list(NOTICE_KINDS)}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Settings of simclr-tui",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "theme": {"enum": [AUTO, *theme_names()], "default": AUTO},
            "poll_seconds": {
                "type": "number",
                "minimum": FASTEST_POLL,
                "maximum": SLOWEST_POLL,
                "default": UserSettings().poll_seconds,
                "description": "seconds between two looks at the store",
            },
            "graphics": {
                "enum": [AUTO, *WAYS],
                "default": UserSettings().graphics,
                "description": "how pictures are drawn, whatever the terminal says of itself",
            },
            "price_per_kwh": {
                "type": "number",
                "minimum": 0,
                "maximum": DEAREST,
                "description": "what a kilowatt-hour costs, so that energy is shown as money too",
            },
            "currency": {"type": "string", "maxLength": LONGEST_CURRENCY, "default": UserSettings().currency},
            "notices": {"type": "object", "additionalProperties": False, "properties": {**ways, "on": kinds}},
            "keys": {"type": "object", "additionalProperties": False, "properties": keys},
        },
    }


def template() -> str:
    """A first settings file: every setting with what holds without it, commented out."""
    usual = UserSettings()
    lines = [
        "# Settings of simclr-tui; docs/comfort.md says more, `simclr-tui settings` shows what holds.",
        "",
        f"# theme = {_quoted(usual.theme)}  # {AUTO}, or one of: {', '.join(theme_names())}",
        f"# poll_seconds = {usual.poll_seconds:g}  # seconds between two looks at the store",
        f"# graphics = {_quoted(usual.graphics)}  # how pictures are drawn: {AUTO}, or one of: {', '.join(WAYS)}",
        "# price_per_kwh = 0.30  # what a kilowatt-hour costs, so that energy is shown as money too; usually not told",
        '# currency = "EUR"',
        "",
        "# [notices]",
        *(f"# {way} = true  # {_TEXTS[way]}" for way in NOTICE_WAYS),
        f"# on = [{', '.join(map(_quoted, NOTICE_KINDS))}]",
        "",
        "# [keys]  # a key, or a list of keys, for an action",
    ]
    for id_, binding in sorted(all_bindings().items()):
        keys = [_quoted(key) for key in binding.key.split(",")]
        value = keys[0] if len(keys) == 1 else f"[{', '.join(keys)}]"
        lines.append(f"# {_quoted(id_)} = {value}  # {binding.tooltip}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return f'"{text}"'
