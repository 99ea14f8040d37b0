"""`twinproof completion SHELL`: commands, flags and choices, out of the very parsers that read the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from twinproof.cli.main import build_parser

__all__ = ["run", "words"]

_BASH = """\
_twinproof() {
  local word="${COMP_WORDS[COMP_CWORD]}" path="" index key candidates=""
  for ((index = 1; index < COMP_CWORD; index++)); do
    key="$path ${COMP_WORDS[index]}"
    case "$key" in
%(subcommands)s
    esac
  done
  case "$path" in
%(candidates)s
  esac
  COMPREPLY=($(compgen -W "$candidates" -- "$word"))
  [ "${#COMPREPLY[@]}" -gt 0 ] || COMPREPLY=($(compgen -f -- "$word"))
}
complete -F _twinproof twinproof
"""


def run(arguments: argparse.Namespace) -> int:
    print({"bash": _bash, "zsh": _zsh, "fish": _fish}[arguments.shell](), end="")
    return 0


def words(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """For each command, as the words that lead to it: what can follow."""
    found: list[str] = []
    for action in parser._actions:  # noqa: SLF001  (argparse has no other way to ask)
        found += [flag for flag in action.option_strings if flag.startswith("--")]
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  (as above)
            found += action.choices
            for name, child in action.choices.items():
                yield from words(child, (*path, name))
        elif action.choices and not action.option_strings:
            found += [str(choice) for choice in action.choices]
    yield path, found


def _bash() -> str:
    known = sorted(words(build_parser()))
    paths = [path for path, _ in known if path]
    return _BASH % {
        "subcommands": "\n".join(f'      "{_key(path)}") path="$key" ;;' for path in paths),
        "candidates": "\n".join(f'    "{_key(path)}") candidates="{" ".join(follow)}" ;;' for path, follow in known),
    }


def _key(path: tuple[str, ...]) -> str:
    return "".join(f" {word}" for word in path)


def _zsh() -> str:
    return f"autoload -U +X bashcompinit && bashcompinit\n{_bash()}"


def _fish() -> str:
    first = next(follow for path, follow in words(build_parser()) if not path)
    names = " ".join(word for word in first if not word.startswith("--"))
    lines = [f"complete -c twinproof -n __fish_use_subcommand -a '{names}'"]
    for path, follow in sorted(words(build_parser())):
        if path:
            seen = " ; and ".join(f"__fish_seen_subcommand_from {word}" for word in path)
            flags = [word.removeprefix("--") for word in follow if word.startswith("--")]
            below = [word for word in follow if not word.startswith("--")]
            lines += [f"complete -c twinproof -n '{seen}' -l {flag}" for flag in flags]
            lines += [f"complete -c twinproof -n '{seen}' -a '{' '.join(below)}'"] if below else []
    return "\n".join(lines) + "\n"
