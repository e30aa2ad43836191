"""Every Python example of the docs runs as it stands."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, examples
from trainer.opened import open_runs

OWN_NETWORK = "your-backbone.md"
ELSEWHERE = {
    OWN_NETWORK: "below: it is a program that trains, and is given fewer images",
    "python.md": "tests/trainer/test_opened.py, which looks at what it prints",
}
"""Pages whose examples are run by tests of their own."""


def test_every_example_that_has_no_test_of_its_own_runs_as_it_stands(here: Path) -> None:
    pages = {page for page, _ in examples()}
    assert pages >= set(ELSEWHERE)
    assert "DOCS.read_text" in (ROOT / "tests" / "trainer" / "test_opened.py").read_text()
    for page, code in examples():
        if page not in ELSEWHERE:
            done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), page


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_network_of_ones_own_is_trained_by_its_own_program_and_refused_by_the_plain_one(tmp_path: Path) -> None:
    ((_, code),) = [example for example in examples() if example[0] == OWN_NETWORK]
    (tmp_path / "with_my_net.py").write_text(code)
    few = "--limit-per-class 8 --limit-test-per-class 2 --batch-size 16 --no-evaluate-at-end --threads 1 --epochs 1"
    none = "--knn-every 0 --validate-every 0 --health-every 0"
    words = "--headless --preset demo --backbone timm:my_net --resume-or-start"

    def trained(program: list[str], name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *program, *words.split(), name, *few.split(), *none.split()]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = trained(["with_my_net.py"], "mine")
    assert done.returncode == 0, done.stderr
    with open_runs(tmp_path / "runs") as opened:
        assert opened.state("mine") == "finished"
        assert len(opened.columns("mine", "steps", ["step"])["step"]) == 5
    refused = trained(["-m", "trainer.run"], "other")
    assert refused.returncode == 2
    assert "timm has no model 'my_net'" in refused.stderr
