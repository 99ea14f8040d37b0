"""The parser of every command, for tests of what all of them promise."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from twinproof.cli.main import build_parser

__all__ = ["subcommands"]


def subcommands() -> dict[str, argparse.ArgumentParser]:
    """By the words that are typed: `verify`, `compose`, `compose hash`."""
    return dict(_below(build_parser(), ""))


def _below(parser: argparse.ArgumentParser, prefix: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                yield f"{prefix}{name}", child
                yield from _below(child, f"{prefix}{name} ")
