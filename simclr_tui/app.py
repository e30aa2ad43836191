"""The dashboard: themes, screens, the feed and the actions, and nothing else."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from simclr_tui.actions import Actions
from simclr_tui.comfort.app import ComfortApp
from simclr_tui.comfort.keymap import SEPARATOR
from simclr_tui.comfort.user_settings import UserSettings
from simclr_tui.feed import Feed
from simclr_tui.keys import take_names
from simclr_tui.messages import ActionDone, ActionFailed, KnownRead, Polled, PollFailed, StoreRefused
from simclr_tui.remembered import Remembered
from simclr_tui.screens.main import MainScreen
from simclr_tui.widgets.key_line import one_key_text
from trainer.errors import ExitCode

if TYPE_CHECKING:
    from simclr_tui.launch.draft import Draft
    from simclr_tui.launch.drafts import Drafts
    from simclr_tui.launch.estimate import Known
    from simclr_tui.screens.new_run import NewRunScreen

_REAP_SECONDS = 1.0
_NOT_IN_FORMS = ("quit", "about")


class DashboardApp(ComfortApp):
    """Watches the runs of a folder; its return value is the sentence with which it had to give up, if any."""

    CSS_PATH = "app.tcss"
    TITLE = "simclr-tui"
    VERTICAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-low"), (18, "-high")]  # type: ignore[misc]  # App annotates it plainly
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "help", "help", id="app.help", tooltip="Show every key and what it does"),
        Binding("i", "about", "about", show=False, id="app.about", tooltip="Versions, paths and SQLite's health"),
        Binding("q", "quit", "quit", id="app.quit", tooltip="Close the dashboard; runs go on"),
        Binding("ctrl+q", "help_quit", "quit", show=False, id="app.quit-at-once", tooltip="Quit, from a form too"),
        Binding("ctrl+p", "command_palette", "commands", id="app.commands", tooltip="Find an action by its name"),
        *ComfortApp.COMFORT_KEYS,
    ]

    def __init__(
        self,
        runs: Path,
        *,
        select: str | None = None,
        settings: UserSettings | None = None,
        is_dark: bool | None = None,
        **options: Any,
    ) -> None:
        """Prepare the dashboard of a runs folder.

        Args:
            runs: the folder.
            select: id of the run that the cursor starts on.
            settings: what a person's settings file says.
            is_dark: whether the terminal's background is dark, as far as is known.
            options: of Textual's app.
        """
        super().__init__(settings, is_dark=is_dark, **options)
        take_names({id_: one_key_text(keys.partition(SEPARATOR)[0]) for id_, keys in self.keymap.items()})
        self.runs = runs
        self.select = select
        self.feed = Feed(runs, self.post_message, poll_seconds=self.settings.poll_seconds)
        self.actions = Actions(runs, self.post_message)
        self.remembered = Remembered(runs, lambda sentence: self.notify(sentence, severity="warning"))
        self.begin_theme()
        self._drafts: Drafts | None = None
        self.known: Known | None = None
        """What estimates rest on, as it was read last."""

    @property
    def drafts(self) -> "Drafts":
        """The run that is being made, and what was typed before; they outlive the form and the dashboard."""
        if self._drafts is None:
            from simclr_tui.launch.drafts import Drafts

            self._drafts = Drafts(self.remembered)
        return self._drafts

    @property
    def draft(self) -> "Draft":
        """The run that is being made."""
        return self.drafts.current

    async def on_mount(self) -> None:
        """Show the main screen, and read meanwhile: what is read waits as a message until this has ended."""
        self.begin_comfort()
        self.run_worker(self.feed.run, thread=True, group="feed", exit_on_error=False)
        await self.push_screen(MainScreen())
        self.set_interval(_REAP_SECONDS, self.actions.reap)

    def on_unmount(self) -> None:
        """Let the feed's thread end; runs go on. What was typed is there the next time."""
        if self._drafts is not None:
            self._drafts.save(self._drafts.snapshot())
        self.end_comfort()
        self.feed.close()

    def action_theme(self) -> None:
        """Choose a theme, which is shown while it is looked for."""
        from simclr_tui.screens.theme_choice import ThemeScreen

        if not isinstance(self.screen, ThemeScreen):
            self.push_screen(ThemeScreen(self.theme), self.take_theme)

    def do(self, action: Callable[[], object]) -> None:
        """Do what was asked for in a thread; what comes of it is posted as a message."""
        self.run_worker(action, thread=True, group="actions", exit_on_error=False)

    def action_help(self) -> None:
        """Show every key."""
        from simclr_tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In a form a letter is part of a word, wherever the focus is: it does not end the program."""
        if action in _NOT_IN_FORMS and getattr(self.screen, "IS_FORM", False):
            return False
        return super().check_action(action, parameters)

    def action_about(self) -> None:
        """Show versions and paths."""
        from simclr_tui.screens.about import AboutScreen

        if not isinstance(self.screen, AboutScreen):
            self.push_screen(AboutScreen())

    def action_help_quit(self) -> None:
        """ctrl+c and ctrl+q: quit as politely as q does, from anywhere."""
        self.exit()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every action with its key, and every run by its name."""
        from simclr_tui.palette import commands

        return commands(self, screen)

    @property
    def main_screen(self) -> MainScreen | None:
        """The main screen, whatever lies above it; None once the app goes, which takes the screen apart bit by bit."""
        if not self.is_running:
            return None
        return next((screen for screen in self.screen_stack if isinstance(screen, MainScreen)), None)

    def on_polled(self, message: Polled) -> None:
        """Hand on what was read."""
        self.take_notice(message, self.actions.asked)
        if self.main_screen is not None:
            self.main_screen.take(message)

    def on_poll_failed(self, message: PollFailed) -> None:
        """Hand on why nothing was read."""
        if self.main_screen is not None:
            self.main_screen.take_failure(message)

    def on_known_read(self, message: KnownRead) -> None:
        """Hand on what estimates rest on."""
        self.known = message.known
        if self._form is not None:
            self._form.show_estimate()

    def on_store_refused(self, message: StoreRefused) -> None:
        """Give up: there is nothing to show."""
        self.exit(message.sentence, return_code=ExitCode.FAILED)

    def notify(self, message: str, **options: Any) -> None:
        """Say something in a toast, letter by letter: the name of a run may look like markup."""
        super().notify(message, **{**options, "markup": False})

    def on_action_done(self, message: ActionDone) -> None:
        """Say what happened, and read what changed at once."""
        self.notify(message.sentence)
        if message.run_id is not None and self.main_screen is not None:
            self.main_screen.choose(message.run_id)
            if self._form is not None:
                self._form.finish()
        self.feed.wake()

    async def on_action_failed(self, message: ActionFailed) -> None:
        """Say why it did not, in the form where a setting of it is to blame."""
        self.notify(message.sentence, severity="error", timeout=8)
        if self._form is not None:
            await self._form.take_failure(message)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Say so when a thread of ours ended by a bug, which nobody would see otherwise."""
        if event.state is WorkerState.ERROR:
            error = event.worker.error
            self.notify(f"{type(error).__name__}: {error}; please report this bug", severity="error", timeout=20)

    @property
    def _form(self) -> "NewRunScreen | None":
        """The form, if it is open."""
        from simclr_tui.screens.new_run import NewRunScreen

        return self.screen if isinstance(self.screen, NewRunScreen) else None
