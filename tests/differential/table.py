"""`make differences`: a default run of everything, and its counts written into docs/dcap-differences.md."""

from __future__ import annotations

from differential.classes import DIFFERENCES
from differential.families import DOCUMENT, FAMILIES
from differential.harness import Tally

__all__ = ["main"]

LARGER = "larger runs only"


def main() -> None:
    tallies = {name: family.tally() for name, family in FAMILIES.items()}
    for name, tally in tallies.items():
        print(f"{name}: {tally.line()}")  # noqa: T201
        for case in tally.unexplained[:10]:
            print(f"  unexplained: {case}")  # noqa: T201
    text = DOCUMENT.read_text(encoding="utf-8")
    for part, rows in (("totals", totals(tallies)), ("classes", classes(tallies))):
        begin, end = f"<!-- differential:{part} -->\n", "<!-- differential:end -->"
        before, _, rest = text.partition(begin)
        text = before + begin + rows + end + rest.partition(end)[2]
    DOCUMENT.write_text(text, encoding="utf-8")


def totals(tallies: dict[str, Tally]) -> str:
    rows: dict[str, tuple[int, ...]] = {
        name: (t.total, t.accepted, t.refused, sum(t.differences.values())) for name, t in tallies.items()
    }
    rows["all"] = tuple(map(sum, zip(*rows.values(), strict=True)))
    body = "".join(f"| {name} | {' | '.join(f'{number:,}' for number in row)} |\n" for name, row in rows.items())
    return "| evidence | cases | both accept | both refuse | they differ |\n|---|---|---|---|---|\n" + body


def classes(tallies: dict[str, Tally]) -> str:
    lines = ["| difference | seen | twinproof | dcap-qvl 0.7.0 | why |\n|---|---|---|---|---|\n"]
    for known in DIFFERENCES:
        seen = ", ".join(
            f"{name} {t.differences[known.name]}" for name, t in tallies.items() if known.name in t.differences
        )
        cells = (f"`{known.name}`", seen or LARGER, known.ours, known.theirs, known.why)
        lines.append(f"| {' | '.join(cells)} |\n")
    return "".join(lines)


if __name__ == "__main__":
    main()
