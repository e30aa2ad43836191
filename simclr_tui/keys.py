"""What keys are called in sentences: as usual, or as a person has given them to the actions in the settings file.

Sentences are made in pure functions far from any screen, in threads too, so the names are those of the process.
"""

from collections.abc import Mapping

_given: dict[str, str] = {}


def take_names(names: Mapping[str, str]) -> None:
    """Call keys so from now on.

    Args:
        names: keys as people read them, by the ids of the bindings that have other keys than usual.
    """
    _given.clear()
    _given.update(names)


def key(usual: str, action: str) -> str:
    """The key of an action, for a sentence.

    Args:
        usual: the key that its binding has, as people read it.
        action: the id of the binding.
    """
    return _given.get(action, usual)
