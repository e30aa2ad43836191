"""`python -m tests`: every check that this project has, one after the other; the exit code says whether all passed."""

import subprocess
import sys
import time
from pathlib import Path

BIN = Path(sys.executable).parent

CHECKS: dict[str, list[str | Path]] = {
    "lint": [BIN / "ruff", "check", "."],
    "format": [BIN / "ruff", "format", "--check", "."],
    "spelling": [BIN / "codespell"],
    "types": [BIN / "mypy"],
    "import contracts": [BIN / "lint-imports"],
    "reference": [sys.executable, "-m", "docs.make_reference", "--check"],
    "site": [sys.executable, "-m", "docs.build"],
    "tests": [sys.executable, "-m", "pytest"],
}


def main() -> int:
    """Run all checks, also after one that failed, and name those that did."""
    failed = []
    for name, command in CHECKS.items():
        print(f"\n── {name}", flush=True)
        begun = time.monotonic()
        if subprocess.run(command, check=False).returncode != 0:
            failed.append(name)
        print(f"── {name}: {'failed' if name in failed else 'passed'} in {time.monotonic() - begun:.0f} s", flush=True)
    ending = f"; failed: {', '.join(failed)}" if failed else ""
    print(f"\n{len(CHECKS) - len(failed)} of {len(CHECKS)} checks passed{ending}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
