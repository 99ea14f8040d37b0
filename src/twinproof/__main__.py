"""`python -m twinproof` is the command `twinproof`."""

from twinproof.cli.main import run

run()
