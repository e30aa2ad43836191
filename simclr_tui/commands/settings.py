"""`settings`: a person's settings file, what holds and where that comes from."""

import argparse
from pathlib import Path
from typing import Any

from simclr_tui.comfort.keymap import all_bindings, remapped
from simclr_tui.comfort.settings_page import schema, template
from simclr_tui.comfort.user_settings import UserSettings, read_settings, settings_file
from simclr_tui.commands.output import columns, say, say_json
from simclr_tui.format import UNKNOWN
from trainer.errors import ExitCode, TrainerError, UsageError


def settings(options: argparse.Namespace, _runs: Path) -> int:
    """Print the settings, write a first file, or print the schema or the keys."""
    file = settings_file()
    if options.schema:
        say_json(schema())
    elif options.init:
        _write_first(file)
        say(f"{file} is written; everything in it is commented out")
    elif options.keys:
        _say_keys(read_settings(), as_json=options.json)
    else:
        _say_settings(read_settings(), file, as_json=options.json)
    return ExitCode.FINISHED


def _write_first(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(template())
    except FileExistsError:
        raise UsageError(f"{file} is there already; edit it, or move it away first") from None
    except OSError as error:
        raise TrainerError(f"{error.filename or file}: {error.strerror}; the file can't be written there") from None


def _say_settings(found: UserSettings, file: Path, *, as_json: bool) -> None:
    rows = _rows(found)
    if as_json:
        say_json(
            {
                "file": str(file),
                "exists": found.file is not None,
                "settings": {name: {"value": value, "from": source} for name, value, source in rows},
            }
        )
        return
    say(str(file) if found.file else f"{file} (not there; `simclr-tui settings --init` writes one)")
    say("")
    say(columns(["setting", "value", "from"], [[name, _shown(value), source] for name, value, source in rows]))


def _rows(found: UserSettings) -> list[tuple[str, Any, str]]:
    """Every setting with its value and where that comes from."""
    notices = found.notices
    values: list[tuple[str, Any]] = [
        ("theme", found.theme),
        ("poll_seconds", found.poll_seconds),
        ("graphics", found.graphics),
        ("price_per_kwh", found.price_per_kwh),
        ("currency", found.currency),
        ("notices.bell", notices.bell),
        ("notices.desktop", notices.desktop),
        ("notices.title", notices.title),
        ("notices.on", list(notices.on)),
        *((f"keys.{id_}", list(keys)) for id_, keys in found.keys.items()),
    ]
    return [
        (name, value, "the file" if name in found.said or name.startswith("keys.") else "the program")
        for name, value in values
    ]


def _say_keys(found: UserSettings, *, as_json: bool) -> None:
    from simclr_tui.comfort.keymap import checked
    from simclr_tui.widgets.key_line import one_key_text

    keymap = checked(found.keys)
    bindings = {id_: remapped(binding, keymap) for id_, binding in sorted(all_bindings().items())}
    if as_json:
        say_json({id_: {"keys": one.key.split(","), "tooltip": one.tooltip} for id_, one in bindings.items()})
        return
    rows = [
        [id_, " ".join(one_key_text(key) for key in one.key.split(",")), one.tooltip] for id_, one in bindings.items()
    ]
    say(columns(["action", "keys", "what it does"], rows))


def _shown(value: Any) -> str:
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(value) if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else str(value)
