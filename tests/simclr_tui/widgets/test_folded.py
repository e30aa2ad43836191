"""A group that folds."""

from typing import Any

from textual.app import App, ComposeResult
from textual.dom import DOMNode
from textual.widgets import Collapsible, Label

from simclr_tui.widgets.folded import Folded


class OneGroup(App[None]):
    def compose(self) -> ComposeResult:
        with Folded(title="Data (1 more)"):
            yield Label("hold-out")


async def test_what_is_in_it_is_shown_and_hidden_and_never_styled_anew() -> None:
    app = OneGroup()
    async with app.run_test() as pilot:
        group, inside = app.query_one(Folded), app.query_one(Collapsible.Contents)
        assert not inside.display
        styled: list[object] = []
        apply = app.stylesheet.apply

        def watched(node: DOMNode, **options: Any) -> None:
            styled.append(node)
            apply(node, **options)

        app.stylesheet.apply = watched  # type: ignore[method-assign]
        for is_shown in (True, False):
            group.collapsed = not is_shown
            await pilot.pause()
            assert inside.display == is_shown
        assert app.query_one(Label) not in styled
        await pilot.click("CollapsibleTitle")
        assert inside.display
