"""A setting of the form, also of one that is being taken apart."""

from textual.app import App, ComposeResult

from simclr_tui.widgets.field_row import Choice


class OneChoice(App[None]):
    def compose(self) -> ComposeResult:
        yield Choice([("train", "train"), ("test", "test")], value="train", allow_blank=False, compact=True)


async def test_a_list_that_is_half_gone_takes_another_value() -> None:
    app = OneChoice()
    async with app.run_test() as pilot:
        choice = app.query_one(Choice)
        await choice.query_one("#label").remove()
        choice.value = "test"
        await pilot.pause()
        assert choice.value == "test"
