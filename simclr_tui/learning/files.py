"""The pictures and tables that evaluations made, and how to make those that are missing. Pure."""

from textual.content import Content
from textual.style import Style

from simclr_tui.format import count, size
from simclr_tui.keys import key
from simclr_tui.learning.look import Look
from simclr_tui.model import Learning
from simclr_tui.theme import MUTED
from simclr_tui.words import Part
from trainer.evaluate_config import WAYS
from trainer.store.records import Artifact

TITLE = "files"

_ANSWERS = {
    "layers": "which layer is worth most",
    "labels": "how few labels are enough",
    "invariance": "what the head forgets",
    "finetune": "what training on with few labels gives",
    "map": "what lies beside what",
}


def digest(look: Look) -> Content:
    """How many there are."""
    artifacts = _chosen(look)
    if not artifacts:
        return Content.styled("none yet" if look.learning.is_read else "reading the store", MUTED)
    pictures = sum(one.kind == "picture" for one in artifacts)
    files = "1 file" if len(artifacts) == 1 else f"{len(artifacts)} files"
    return Content(f"{files}, {pictures or 'no'} {'picture' if pictures == 1 else 'pictures'}")


def body(look: Look, _width: int) -> Content:
    """Every file with its path, a link where the terminal has such, and the commands that make the rest."""
    made = [_line(look, one) for one in _chosen(look)]
    parts: list[Content | Part] = [*made] if made else ["no picture or table yet\n"]
    missing = missing_ways(look.learning)
    if missing:
        parts += ["\n", (f"not evaluated yet; {key('e', 'learning.evaluate')} does it, or\n", "bold")]
        for way in missing:
            parts += [f"{look.command(way)}\n", (f"  {_ANSWERS[way]}\n", MUTED)]
    parts += ["\n", ("the views that it learns from\n", "bold"), look.preview_command]
    return Content.assemble(*parts)


def missing_ways(learning: Learning) -> list[str]:
    """The ways in which the run was not looked at on its own data set."""
    has_map = any(one.kind == "map" for one in learning.artifacts)
    return [way for way in WAYS if learning.findings.study(way) is None and not (way == "map" and has_map)]


def _chosen(look: Look) -> list[Artifact]:
    return [one for one in look.learning.artifacts if look.step in (None, one.step)]


def _line(look: Look, one: Artifact) -> Content:
    path = look.runs / one.path
    about = f"  {one.kind} · step {count(one.step)} · {size(one.bytes)}\n"
    return Content.assemble((one.name, "bold"), (about, MUTED), "  ", (str(path), Style(link=path.as_uri())), "\n")
