"""`python -m twinproof.conformance`: see `command`."""

from __future__ import annotations

import sys

from twinproof.conformance.command import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
