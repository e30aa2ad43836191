"""What a comparison can be written as, but for pictures: by the key of the dashboard and by the command alike."""

from collections.abc import Callable, Mapping

from simclr_tui.compare.export import as_csv, as_json, markdown
from simclr_tui.compare.latex import latex
from simclr_tui.compare.table import Comparison

WRITERS: Mapping[str, Callable[[Comparison, bool], str]] = {
    "md": lambda comparison, unfolded: markdown(comparison, unfolded=unfolded),
    "csv": lambda comparison, unfolded: as_csv(comparison, unfolded=unfolded),
    "tex": lambda comparison, unfolded: latex(comparison, unfolded=unfolded),
    "json": lambda comparison, _: as_json(comparison),
}
"""By the ending of a file's name: the text of a comparison, with the equal settings or without."""
