"""What the programs that answer at once (the dashboard's commands, the preview) do with an error."""

import os
import sys
from collections.abc import Callable

from trainer.errors import ExitCode, TrainerError


def answer(work: Callable[[], int]) -> int:
    """Do it and give its exit code; what a person can mend is one sentence on stderr and the error's own code.

    Ctrl-C ends with the code of SIGINT, and whoever read the output may stop reading at any time.
    """
    try:
        code = work()
        sys.stdout.flush()
    except TrainerError as error:
        print(f"simclr-tui: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.SIGINT
    except BrokenPipeError:
        # Whoever read the output has had enough; the interpreter must not complain about it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FINISHED
    return code
