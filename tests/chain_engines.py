"""The engines under the devnet's chain: what is promised of the chain is tested over each of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from npm_package import NPM, installed
from twinproof_devnet.chain.anvil_process import VARIABLE
from twinproof_devnet.chain.engine_name import EngineName

__all__ = ["ENGINES", "installed_anvil"]

ENGINES = [
    pytest.param(name, marks=[pytest.mark.node] if name is EngineName.ANVIL else [], id=name.value)
    for name in EngineName
]


def installed_anvil(folder: Path) -> str:
    """The program that TWINPROOF_ANVIL names, otherwise the one of the lock file, installed in `folder`."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return named
    packages = installed(NPM / "anvil", folder / "anvil") / "node_modules" / "@foundry-rs"
    (program,) = packages.glob("anvil-*/bin/anvil")  # of this platform; the others are optional and not there
    return str(program)
