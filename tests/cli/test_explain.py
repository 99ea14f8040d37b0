"""`explain`, `completion` and the examples in `--help`."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from published_schemas import described
from twinproof import comparison, verifier
from twinproof.cli.examples import EXAMPLES
from twinproof.cli.main import build_parser, main
from twinproof.cli.options import COMMANDS
from twinproof.dstack import key_chain
from twinproof.verdict import Step

STEPS = [*verifier.PLAN, *comparison.PLAN, *key_chain.PLAN]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.id)
def test_every_check_is_explained_within_eighty_columns(step: Step, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", step.id]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    for part in (step.title, step.why, step.source):
        assert part in " ".join(out.split())


def test_the_list_has_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--json"]) == 0
    assert [item["id"] for item in described("explain.v1", capsys.readouterr().out)] == [step.id for step in STEPS]
    assert main(["explain"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(STEPS)


def test_one_check_is_the_same_object_as_in_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    main(["explain", "--json"])
    first = described("explain.v1", capsys.readouterr().out)[0]
    assert main(["explain", first["id"], "--json"]) == 0
    assert described("explain.v1", capsys.readouterr().out) == first


def test_a_misspelt_check_is_answered_with_what_it_may_have_been(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "dcap.pck_chian"]) == 2
    assert "dcap.pck_chain" in capsys.readouterr().err


def completed(line: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """What bash offers at the end of this line, by bash itself."""
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    words = line.split(" ")
    typed = " ".join(f"'{word}'" for word in words)
    ask = f'COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _twinproof; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", f"{script}\n{ask}"], check=True, capture_output=True, text=True, timeout=20)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("twinproof comp", {"compare", "compose", "completion"}),
        ("twinproof compare --ht", {"--html"}),
        ("twinproof archive ", {"add", "list", "export", "--help"}),
        ("twinproof archive export --t", {"--to"}),
        ("twinproof completion z", {"zsh"}),
    ],
)
def test_bash_completes_commands_flags_and_choices(
    line: str, expected: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert completed(line, capsys) == expected


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_know_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_help_ends_with_examples_that_fit_a_terminal(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser(name).parse_args([name, "--help"])
    out = capsys.readouterr().out
    assert out.rstrip().endswith(EXAMPLES[name].splitlines()[-1])
    assert max(map(len, out.splitlines())) <= 80


def test_every_command_has_examples() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - {"completion"}))
def test_examples_are_commands_that_there_are(name: str) -> None:
    for line in EXAMPLES[name].replace("\\\n", "").splitlines():
        program, *words = shlex.split(line)
        assert program == "twinproof"
        assert build_parser(name).parse_args(words).command == name
