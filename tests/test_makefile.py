"""What the targets of the Makefile would run, as `make -n` prints it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
CHECKOUT = Path(__file__).parents[1]
OF_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ARGS", "SCALE", "DATA", "PAPER", "DAVIS_ROOT")
"""What the `make test` that these tests may run in hands down."""


def reproduce(*arguments: str, **environment: str) -> str:
    """The command line of table 5."""
    command = ["make", "--no-print-directory", "-n", "-o", ".venv/.installed", "reproduce-table5", *arguments]
    clean = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
    done = subprocess.run(
        command, cwd=CHECKOUT, env={**clean, **environment}, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


def test_a_root_that_is_given_is_passed_on():
    assert reproduce("DATA=davis2016", "DAVIS_ROOT=/a b/DAVIS").endswith("data=davis2016 'data.root=\"/a b/DAVIS\"' ")


@pytest.mark.parametrize("data", ["synthetic", "youtube2019", "davis2016"])
def test_a_root_of_the_environment_is_left_to_the_data_set_that_reads_it(data):
    assert "data.root" not in reproduce(f"DATA={data}", DAVIS_ROOT="/exported")
