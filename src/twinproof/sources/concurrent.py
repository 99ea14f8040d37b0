"""Ask all instances at once; one that fails does not lose the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from twinproof.errors import TwinproofError

__all__ = ["fetch_all"]

Item = TypeVar("Item")
MAX_WORKERS = 32


def fetch_all(
    names: Sequence[str],
    fetch: Callable[[int, str], Item],
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[Item | TwinproofError]:
    """`fetch(index, name)` for every name, concurrently; results in the order of the names.

    An error of ours becomes that name's result; any other exception is a bug and leaves.
    """
    results: list[Item | TwinproofError] = [TwinproofError("not fetched") for _ in names]
    with ThreadPoolExecutor(max_workers=max(1, min(MAX_WORKERS, len(names)))) as pool:
        futures = {pool.submit(fetch, index, name): index for index, name in enumerate(names)}
        for done, future in enumerate(as_completed(futures), 1):
            index = futures[future]
            try:
                results[index] = future.result()
            except TwinproofError as error:
                results[index] = error
            if progress is not None:
                progress(done, len(names), names[index])
    return results
