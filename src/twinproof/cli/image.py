"""`twinproof image`: measure an OS image into an allow-list entry, and show the allow-list."""

from __future__ import annotations

import argparse
import json
import sys
import time

from twinproof.errors import UsageError

__all__ = ["run"]

MIB = 1 << 20
MAX_MEMORY_MIB = 16 << 20
MAX_MEMORY_SIZES = 8
QUIET_SECONDS, INTERVAL = 1.0, 0.1


def run(arguments: argparse.Namespace) -> int:
    actions = {"measure": _measure, "list": _list}
    return actions[arguments.action](arguments)


def _measure(arguments: argparse.Namespace) -> int:
    from twinproof.dstack.image_measurements import measure_image
    from twinproof.report.image_text import image_json, image_toml
    from twinproof.sources.image_files import read_image

    sizes = _memory_sizes(arguments.memory)
    progress = _Progress()
    try:
        files = read_image(arguments.image, progress if sys.stderr.isatty() else None)
    finally:
        progress.clear()
    measured = measure_image(files, memory_sizes=sizes)
    if arguments.json:
        print(json.dumps(image_json(measured), indent=1))
    else:
        print(image_toml(measured), end="")
    return 0


def _memory_sizes(mebibytes: list[int]) -> tuple[int, ...]:
    if len(mebibytes) > MAX_MEMORY_SIZES:
        expected = f"at most {MAX_MEMORY_SIZES}"
        raise UsageError("too many sizes", where="--memory", got=str(len(mebibytes)), expected=expected)
    for size in mebibytes:
        if not 0 < size <= MAX_MEMORY_MIB:
            expected = f"MiB, 1 to {MAX_MEMORY_MIB}"
            raise UsageError("not a memory size", where="--memory", got=str(size), expected=expected)
    return tuple(size * MIB for size in mebibytes)


def _list(arguments: argparse.Namespace) -> int:
    from twinproof.cli.configuration import policy_of, read_configuration
    from twinproof.report.image_text import images_text

    images = policy_of(arguments, read_configuration(arguments.config)).images
    if arguments.json:
        print(json.dumps([{"schema": "twinproof/image-list/v1", **image.to_json()} for image in images], indent=1))
    else:
        print(images_text(images), end="")
    if not images:
        print("twinproof: no OS image is listed; `twinproof image measure` makes entries", file=sys.stderr)
    return 0


class _Progress:
    """One line on a terminal, for reading that takes longer than a second."""

    def __init__(self) -> None:
        self.start = self.drawn = time.monotonic()
        self.shown = False

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.start >= QUIET_SECONDS and now - self.drawn >= INTERVAL:
            self.drawn, self.shown = now, True
            share = f"{done / total:.0%}" if total else ""
            print(f"\r\x1b[K  {share} {done // MIB} MiB read", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self.shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
