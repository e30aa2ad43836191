"""The keys that a person gave to actions in the settings file: whether they go together, and how they are shown.

Which keys clash depends on what is on the screen: the keys of a window are alone, those of a whole screen stand beside
the app's. Screens are imported only where a changed key can be theirs.
"""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from textual.binding import Binding, BindingType

from trainer.errors import UsageError

APP = ("Everywhere", "app:DashboardApp")
MAIN = ("Runs", "screens.main:MainScreen")

OTHERS = (
    ("One chart", "screens.chart_full:ChartFullScreen"),
    ("Run", "screens.run:RunScreen"),
    ("Run, epoch", "run_tabs.epoch:EpochTab"),
    ("Run, checkpoints", "run_tabs.checkpoints:CheckpointsTab"),
    ("Run, settings", "run_tabs.settings:SettingsTab"),
    ("Run, log", "run_tabs.log:LogTab"),
    ("Run, images", "run_tabs.images:ImagesTab"),
    ("Learning", "screens.learning:LearningScreen"),
    ("Compare", "screens.compare:CompareScreen"),
    ("Benchmark", "screens.benchmark:BenchmarkScreen"),
    ("New benchmark", "screens.benchmark_form:BenchmarkForm"),
    ("Apply a benchmark", "screens.apply_benchmark:ApplyScreen"),
    ("Evaluate", "screens.evaluate:EvaluateScreen"),
    ("Fork", "screens.fork:ForkScreen"),
    ("New run", "screens.new_run:NewRunScreen"),
)
"""Every other screen with keys worth a section of the help, as its title and where it is. A part of a screen has its
name behind the screen's: its keys come before the screen's own."""

PART = ", "

SMALL = (
    ("A choice", "screens.pick:PickScreen"),
    ("Help", "screens.help:HelpScreen"),
    ("About", "screens.about:AboutScreen"),
    ("A question", "screens.confirm:ConfirmScreen"),
)
"""Windows that name their few keys themselves."""

SEPARATOR = ","
"""Between the keys of a binding."""

_MODIFIERS = ("alt", "ctrl", "hyper", "meta", "shift", "super")


@dataclass(frozen=True, slots=True)
class Scope:
    """A screen with its keys."""

    title: str
    bindings: tuple[Binding, ...]
    is_modal: bool
    """A window above a screen, where the app's own keys do nothing."""


class KeyRefusedError(UsageError):
    """A key that was asked for can't be given; `setting` is the id of the binding."""

    def __init__(self, setting: str, reason: str) -> None:
        """Args: the id, and the reason with the remedy."""
        super().__init__(reason)
        self.setting = setting


def bindings_of(bindings: Sequence[BindingType]) -> list[Binding]:
    """The bindings that have an id, which is all of them."""
    return [binding for binding in bindings if isinstance(binding, Binding) and binding.id]


@cache
def scope(title: str, place: str) -> Scope:
    """A screen's keys by where it is (`module:Class` below this package); imports it."""
    from textual.screen import ModalScreen

    module, _, name = place.partition(":")
    owner = getattr(importlib.import_module(f"simclr_tui.{module}"), name)
    return Scope(title, tuple(bindings_of(owner.BINDINGS)), issubclass(owner, ModalScreen))


def all_bindings() -> dict[str, Binding]:
    """Every binding by its id; imports every screen."""
    places = (MAIN, APP, *OTHERS, *SMALL)
    return {binding.id: binding for place in places for binding in scope(*place).bindings if binding.id}


def checked(keys: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The keymap for Textual: ids of bindings with their keys in a row.

    Raises:
        KeyRefusedError: there is no such id or key, or two actions of one screen would have the same key.
    """
    if not keys:
        return {}
    keymap = {id_: SEPARATOR.join(key_name(id_, key) for key in given) for id_, given in keys.items()}
    usual = {binding.id for place in (MAIN, APP) for binding in scope(*place).bindings}
    in_app = {binding.id for binding in scope(*APP).bindings}
    needs_all = any(id_ not in usual or id_ in in_app for id_ in keymap)
    places = (MAIN, *OTHERS, *SMALL) if needs_all else (MAIN,)
    known = usual | {binding.id for place in places for binding in scope(*place).bindings}
    for id_ in keymap:
        if id_ not in known:
            raise KeyRefusedError(id_, f"there is no action of that name{_closest(id_, all_bindings())}")
    for place in places:
        _check_scope(scope(*place), keymap)
    return keymap


def remapped(binding: Binding, keymap: Mapping[str, str]) -> Binding:
    """A binding with the keys that it has now."""
    keys = keymap.get(binding.id or "")
    return replace(binding, key=keys, key_display=None) if keys else binding


def key_name(id_: str, key: str) -> str:
    """A key as Textual calls it, from its name or its character.

    Raises:
        KeyRefusedError: no key is called so.
    """
    from textual.keys import _character_to_key

    if len(key) == 1 and key.isprintable():
        return _character_to_key(key)
    *modifiers, last = key.split("+")
    wrong = [word for word in modifiers if word not in _MODIFIERS]
    name = _character_to_key(last) if len(last) == 1 else last
    if not wrong and (len(last) == 1 or name in _names()):
        return "+".join([*modifiers, name])
    word = wrong[0] if wrong else last
    raise KeyRefusedError(id_, f"no key is called {key!r}{_closest(word, [*_MODIFIERS] if wrong else _names())}")


@cache
def _names() -> frozenset[str]:
    """What keys other than letters are called."""
    import string

    from textual.keys import Keys, _character_to_key

    named = {key.value for key in Keys if "+" not in key.value and "<" not in key.value}
    return frozenset(named | {_character_to_key(character) for character in string.punctuation + " "})


def _check_scope(own: Scope, keymap: Mapping[str, str]) -> None:
    """See that no two actions which are there at once have the same key because of the keymap."""
    is_alone = own.is_modal or PART in own.title
    together = own.bindings if is_alone else (*own.bindings, *scope(*APP).bindings)
    usual = set(_pairs(together, {}))
    has: dict[str, str] = {}
    for id_, key in _pairs(together, keymap):
        other = has.setdefault(key, id_)
        # A screen may have a key of the app's for something of its own; only what the keymap adds is a mistake.
        if other != id_ and not {(id_, key), (other, key)} <= usual:
            blamed, holder = (id_, other) if id_ in keymap else (other, id_)
            raise KeyRefusedError(
                blamed, f"{key!r} is the key of {holder} too (screen: {own.title}); give one of them another key"
            )


def _pairs(bindings: Sequence[Binding], keymap: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each id with each of its keys."""
    for binding in bindings:
        for key in remapped(binding, keymap).key.split(SEPARATOR):
            yield binding.id or "", key_name(binding.id or "", key.strip())


def _closest(word: str, known: Mapping[str, object] | Sequence[str] | frozenset[str]) -> str:
    """The remedy: what was probably meant."""
    import difflib  # only where something is wrong

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.4)
    return f"; do you mean {close[0]}?" if close else "; `simclr-tui settings --keys` lists them"
