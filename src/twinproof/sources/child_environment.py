"""The environment of the commands that we run: git (and so its hooks and helpers), docker, pip, gh, git-cliff.

Ours, without what is for us alone: none of them needs the deployer's keys.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

__all__ = ["API_KEY", "SIGNING_KEY", "child_environment", "keep_from_children"]

API_KEY, SIGNING_KEY = "PHALA_CLOUD_API_KEY", "DEPLOYER_PRIVATE_KEY"
_KEPT = {API_KEY, SIGNING_KEY}


def keep_from_children(name: str) -> None:
    """The variable `name` was chosen to hold a key, a password or an endpoint's URL."""
    _KEPT.add(name)


def child_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """With `more` in place of ours."""
    return {**{name: value for name, value in os.environ.items() if name not in _KEPT}, **(more or {})}
