"""DEPLOYMENTS.md follows from the records: the same everywhere, its statuses derived, nothing in it written by hand."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from html import unescape

import pytest
from markdown_it import MarkdownIt

from deployment_records import APP_ID, AT, failed, record
from twinproof.deployments.documents import documents
from twinproof.deployments.record import Failure, Record
from twinproof.deployments.standing import Standing, rows
from twinproof.deployments.table import HEADING, render
from twinproof.errors import Malformed
from twinproof.release.inert import inert
from twinproof.release.version_table import BEGIN, END, RULE

TWO_VERSIONS = (
    record("1.0.0", "prod9", "1-1"),
    record("1.0.0", "prod7", "1-1"),
    record("1.1.0", "prod9", "2-1", at=AT + 1000),
)


def standings(*records: Record) -> dict[str, str]:
    return {row.record.name: row.standing.value for row in rows(records)}


def test_the_deployment_attested_last_is_active_and_the_one_before_replaced() -> None:
    assert standings(*TWO_VERSIONS) == {
        "1.0.0-prod9-1-1": "Replaced",
        "1.0.0-prod7-1-1": "Active",
        "1.1.0-prod9-2-1": "Active",
    }


def test_a_rollback_is_active_and_the_higher_version_replaced() -> None:
    back = record("1.0.0", "prod9", "3-1", at=AT + 2000)
    assert standings(*TWO_VERSIONS, back)["1.1.0-prod9-2-1"] == "Replaced"
    assert standings(*TWO_VERSIONS, back)["1.0.0-prod9-3-1"] == "Active"


def test_a_failed_deployment_replaces_nothing() -> None:
    found = standings(*TWO_VERSIONS, failed("1.1.0", "prod7", "2-1", at=AT + 1000))
    assert found["1.1.0-prod7-2-1"] == "Failed"
    assert found["1.0.0-prod7-1-1"] == "Active"


def test_another_apps_instance_on_the_same_machine_is_another_deployment() -> None:
    other = record("2.0.0", "prod9", "9-1", at=AT + 5000)
    assert other.attested is not None
    other = replace(other, attested=replace(other.attested, app_id=bytes(20)))
    assert standings(*TWO_VERSIONS, other)["1.1.0-prod9-2-1"] == "Active"
    assert bytes(20) != APP_ID


def test_the_order_of_the_files_changes_nothing() -> None:
    records = [*TWO_VERSIONS, failed()]
    text = render(records)
    shuffled = random.Random(6)
    for _ in range(20):
        shuffled.shuffle(records)
        assert render(records) == text


def test_the_columns_are_those_that_users_know() -> None:
    lines = render([record()]).split("\n")
    row = lines[lines.index(HEADING) + 2]
    made = record()
    assert made.attested is not None
    assert made.anchor is not None
    transaction = f"0x{made.anchor.transaction.hex()}"
    assert row == (
        f"| 2026-09-21 14:12:20 | 1.2.0 | prod9 | `{made.attested.compose_hash.hex()}` | "
        f"[`{transaction}`](https://basescan.org/tx/{transaction}) | Active |"
    )


def test_the_time_of_a_row_is_that_of_the_block() -> None:
    made = record()
    assert made.anchor is not None
    assert rows([made])[0].time == made.anchor.block_time != made.at


def test_a_chain_without_an_explorer_gets_no_link() -> None:
    made = record()
    assert made.anchor is not None
    text = render([replace(made, anchor=replace(made.anchor, chain_id=31337))])
    assert "http" not in text
    assert f"`0x{made.anchor.transaction.hex()}`" in text


def test_simulated_hardware_is_said_in_the_document() -> None:
    made = record()
    assert made.attested is not None
    text = render([replace(made, attested=replace(made.attested, simulated=True)), record("1.0.0", "prod7")])
    assert "SIMULATED HARDWARE" in text
    assert "| prod9\\* |" in text
    assert "| prod7 |" in text


def test_a_reason_ends_no_cell_and_starts_no_tag() -> None:
    bad = replace(failed(), failure=Failure("attest", "| x | <img src=x> [a](b) @someone `c`"))
    text = render([bad])
    line = next(line for line in text.split("\n") if line.startswith("- 1.2.0 on prod7"))
    for raw in ("<img", "| x", "[a](b)", "@someone", " `c`"):
        assert raw not in line.replace("\\|", "").replace("\\[", "").replace("\\`", "")


HOSTILE = [
    "see https://evil.example/login to renew the key",
    "HTTPS://evil.example www.evil.example mailto:a@evil.example",
    "<https://evil.example> [a](https://evil.example) ![a](//evil.example/x.png)",
    "<img src=x onerror=alert(1)> <!-- --> &lt;b&gt;",
    "~~struck~~ **bold** _it_ `code` $x^2$ # head #12 @someone",
    "a | b \\| c | d",
    "[x]: https://evil.example",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_reason_becomes_neither_a_link_nor_a_picture_nor_anything_but_text(text: str) -> None:
    """Read by a Markdown parser; forges make links of bare addresses too, so none is left whole."""
    written = inert(text)
    html = (
        MarkdownIt("commonmark")
        .enable(["table", "strikethrough"])
        .render(f"| a |\n|---|\n| {written} |\n\n- {written}\n")
    )
    assert set(re.findall(r"<(\w+)", html)) == {"table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
    assert [unescape(cell).replace("\u200b", "") for cell in re.findall("<(?:td|li)>(.*)</", html)] == [text, text]
    assert not re.search(r"(?i)://|www\.|mailto:|(?<!\\)[$~]", written)


def test_a_machine_or_a_run_cannot_be_an_address() -> None:
    assert "www." not in render([replace(failed(), machine="www.evil.example")])


def test_no_record_is_said_so() -> None:
    assert "Nothing was deployed yet." in render([])


README = f"""# App

{BEGIN}
| Version | Date | Git SHA | Compose Hash | Changes |
{RULE}
| 1.1.0 | 2026-09-22 | - | - | more |
| 1.0.0 | 2026-09-21 | - | - | first |
{END}
"""


def test_the_readme_gets_the_attested_hash_of_its_version() -> None:
    after = documents({"README.md": README}, [TWO_VERSIONS[0]])["README.md"]
    attested = TWO_VERSIONS[0].attested
    assert attested is not None
    assert f"| 1.0.0 | 2026-09-21 | `0123456789ab` | `{attested.compose_hash.hex()}` | first |" in after
    assert "| 1.1.0 | 2026-09-22 | - | - | more |" in after
    assert documents({"README.md": after}, TWO_VERSIONS)["README.md"].count("| 1.0.0 |") == 1


def test_a_failed_deployment_gives_the_readme_nothing() -> None:
    assert documents({"README.md": README}, [failed("1.0.0")])["README.md"] == README


def test_a_hash_that_somebody_wrote_into_the_readme_is_put_right_or_taken_out() -> None:
    """Of a version that was deployed, and of one that was not."""
    good = documents({"README.md": README}, TWO_VERSIONS)["README.md"]
    assert TWO_VERSIONS[0].attested is not None
    for version, date in (("1.0.0", "2026-09-21"), ("1.1.0", "2026-09-22")):
        lie = f"| {version} | {date} | `{'ee' * 6}` | `{'ee' * 32}` |"
        edited = re.sub(rf"\| {version} \| {date} \| [^|]+ \| [^|]+ \|", lie, good)
        assert edited != good
        assert documents({"README.md": edited}, TWO_VERSIONS)["README.md"] == good
        assert documents({"README.md": edited}, [])["README.md"] == README
    second = documents(
        {"README.md": good.replace(END, f"| 1.0.0 | 2026-09-21 | x | `{'ee' * 32}` | y |\n{END}")}, TWO_VERSIONS
    )
    assert "ee" * 32 not in second["README.md"]


@pytest.mark.parametrize(
    "row", ["| **1.0.0** | 2026-09-21 | a | `ee` | x |", "| 1.0.0 | 2026-09-21 | a |", "1.0.0 deployed"]
)
def test_a_row_of_the_readme_that_says_it_otherwise_is_refused(row: str) -> None:
    with pytest.raises(Malformed, match="not a row of the table of versions"):
        documents({"README.md": README.replace(END, f"{row}\n{END}")}, TWO_VERSIONS)


def test_a_readme_without_the_table_is_left_alone() -> None:
    assert set(documents({"README.md": "# App\n"}, TWO_VERSIONS)) == {"DEPLOYMENTS.md"}
    assert set(documents({}, TWO_VERSIONS)) == {"DEPLOYMENTS.md"}


@pytest.mark.parametrize("standing", list(Standing))
def test_every_word_of_the_status_column_is_explained(standing: Standing) -> None:
    assert standing.value in render([record("1.0.0"), record("1.1.0", at=AT + 5), failed()])
