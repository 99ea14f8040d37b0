"""The workflows, read as data: what starts them, what they may do, and that no stranger's text reaches a shell."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from twinproof.cli.main import build_parser

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = ROOT / ".github" / "workflows"
BUILD, DEPLOY = WORKFLOWS / "toy-build.yml", WORKFLOWS / "toy-deploy.yml"
BRANCH = "feat/toy-example-app"
Workflow = dict[Any, Any]
WRITE = {
    (BUILD, "image"): {"packages"},
    (BUILD, "attest"): {"attestations", "id-token"},
    (BUILD, "release"): {"contents"},
    (BUILD, "deploy"): {"contents"},
    (DEPLOY, "deploy"): {"contents"},
}
"""Which job may write what. Every other permission of every job is `read`, or missing."""


def read(path: Path) -> Workflow:
    document: Workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def triggers(path: Path) -> Workflow:
    found: Workflow = read(path)[True]  # YAML 1.1 reads the key `on` as true
    return found


def jobs(path: Path) -> dict[str, Workflow]:
    found: dict[str, Workflow] = read(path)["jobs"]
    return found


def steps(path: Path) -> list[tuple[str, Workflow]]:
    return [(name, step) for name, job in jobs(path).items() for step in job.get("steps", [])]


def scripts(path: Path) -> list[tuple[str, str]]:
    return [(name, step["run"]) for name, step in steps(path) if "run" in step]


both = pytest.mark.parametrize("path", [BUILD, DEPLOY], ids=lambda path: path.name)


def test_the_build_starts_for_the_release_branch_its_pull_requests_and_version_tags() -> None:
    assert triggers(BUILD) == {
        "push": {"branches": [BRANCH], "tags": ["v*"]},
        "pull_request": {"branches": [BRANCH]},
    }


def test_the_branch_is_the_one_that_versions_are_made_on() -> None:
    assert f'release_branch = "{BRANCH}"' in (ROOT / "twinproof.toml").read_text(encoding="utf-8")


def test_the_deployment_is_only_ever_called_with_environment_machines_tag_and_digest() -> None:
    called = triggers(DEPLOY)
    assert set(called) == {"workflow_call"}
    inputs = called["workflow_call"]["inputs"]
    assert set(inputs) == {"environment", "machines", "tag", "image-digest"}
    assert all((value["type"], value["required"]) == ("string", True) for value in inputs.values())


def test_a_versions_tag_deploys_by_itself_the_digest_that_was_built() -> None:
    deploy = jobs(BUILD)["deploy"]
    assert deploy["uses"] == "$/.github/workflows/toy-deploy.yml"
    assert deploy["with"] == {
        "environment": "production",
        "machines": "prod9,prod7",
        "tag": "${{ github.ref_name }}",
        "image-digest": "${{ needs.image.outputs.digest }}",
    }
    assert deploy["if"] == "github.ref_type == 'tag' && needs.release.outputs.deploy == 'true'"


def test_nothing_is_built_before_the_tag_was_validated_and_nothing_published_before_the_tests_passed() -> None:
    needs = {name: job.get("needs", []) for name, job in jobs(BUILD).items()}
    assert needs == {
        "validate": [],
        "test": "validate",
        "rehearse": "validate",
        "image": ["validate", "test"],
        "attest": "image",
        "release": ["image", "attest"],
        "deploy": ["image", "release"],
    }
    validate = scripts(BUILD)[1]
    assert validate == ("validate", '.venv/bin/twinproof release check "$GITHUB_REF_NAME" --commit "$GITHUB_SHA"')


@both
def test_by_default_a_workflow_may_do_nothing_and_each_job_only_what_it_is_for(path: Path) -> None:
    assert read(path)["permissions"] == {}
    for name, job in jobs(path).items():
        assert isinstance(job["permissions"], dict), name
        writes = {scope for scope, level in job["permissions"].items() if level != "read"}
        assert writes == WRITE.get((path, name), set()), name
        assert all(level in {"read", "write"} for level in job["permissions"].values())


@both
def test_every_action_is_pinned_by_commit_with_its_version_beside_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = [line.strip().removeprefix("- ") for line in text.splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        own = line == "uses: $/.github/workflows/toy-deploy.yml"
        assert own or re.fullmatch(r"uses: actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_one_action_has_one_pin() -> None:
    text = BUILD.read_text(encoding="utf-8") + DEPLOY.read_text(encoding="utf-8")
    pins = set(re.findall(r"uses: (actions/[a-z-]+)@(\S+)", text))
    assert len({name for name, _ in pins}) == len(pins)


@both
def test_no_expression_stands_in_a_shell(path: Path) -> None:
    for name, script in scripts(path):
        assert "${{" not in script, name


@both
def test_what_a_stranger_can_choose_is_used_nowhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for word in ("github.event.", "github.head_ref", "pull_request_target", "workflow_run", "secrets: inherit"):
        assert word not in text, word


@both
def test_variables_in_a_shell_are_quoted(path: Path) -> None:
    for _, script in scripts(path):
        assert re.findall(r'(?<!")\$\{?\w+', script) == []


def test_no_secret_reaches_a_job_that_a_pull_request_starts() -> None:
    for name, job in jobs(BUILD).items():
        if name not in {"validate", "test", "rehearse"}:
            assert "event_name == 'push'" in job["if"] or "ref_type == 'tag'" in job["if"], name
            continue
        assert "secrets." not in yaml.safe_dump(job), name
        assert job["permissions"] == {"contents": "read"}, name


@both
def test_the_token_is_not_left_in_the_checkout(path: Path) -> None:
    checkouts = [step for _, step in steps(path) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    for step in checkouts:
        assert step["with"]["persist-credentials"] is False
        assert step["with"]["fetch-depth"] == 0, "a shallow clone has no history to make notes from"


@both
def test_what_is_checked_out_is_the_commit_of_the_event_and_no_name_that_a_branch_could_have_too(path: Path) -> None:
    """A branch called v1.1.0 would be taken for the tag, and its code would run with the secrets."""
    for _, step in steps(path):
        assert not {"ref", "repository"} & set(step.get("with", {}))
    if path == DEPLOY:
        assert scripts(path)[1][1] == '.venv/bin/twinproof release check "$TAG" --commit "$GITHUB_SHA"'


@both
def test_secrets_are_named_one_by_one_where_they_are_used(path: Path) -> None:
    for name, job in jobs(path).items():
        assert "secrets." not in str(job.get("env", "")), name
    for name, step in steps(path):
        assert "secrets." not in str(step.get("with", "")), name


def test_the_secrets_that_are_passed_are_those_that_the_deployment_knows() -> None:
    passed = jobs(BUILD)["deploy"]["secrets"]
    assert passed == {name: f"${{{{ secrets.{name} }}}}" for name in triggers(DEPLOY)["workflow_call"]["secrets"]}


def test_38_no_run_is_dropped_or_cancelled_and_all_tags_wait_in_one_queue() -> None:
    build, deploy = read(BUILD)["concurrency"], jobs(DEPLOY)["deploy"]["concurrency"]
    assert build["group"] == "toy-build-${{ github.ref_type == 'tag' && 'release' || github.ref }}"
    for group in (build, deploy):
        assert (group["queue"], group["cancel-in-progress"]) == ("max", False)


def test_41_the_attestation_is_asked_for_before_a_secret_of_the_deployment_is_used() -> None:
    runs = [step for _, step in steps(DEPLOY) if "run" in step]
    asked = next(index for index, step in enumerate(runs) if "release attested" in step["run"])
    used = [index for index, step in enumerate(runs) if re.search(r"PHALA|DEPLOYER", str(step.get("env", "")))]
    assert used
    assert min(used) > asked


@both
def test_no_word_in_a_workflow_makes_github_skip_a_run(path: Path) -> None:
    assert not re.search(r"\[(skip ci|ci skip|no ci|skip actions|actions skip)\]", path.read_text(encoding="utf-8"))


@both
def test_every_job_ends_and_runs_on_a_named_release_of_its_system(path: Path) -> None:
    for name, job in jobs(path).items():
        if "uses" not in job:
            assert job["runs-on"] == "ubuntu-24.04", name
            assert 0 < job["timeout-minutes"] <= 60, name


@both
def test_every_twinproof_command_of_a_workflow_is_one_that_the_program_knows(path: Path) -> None:
    found = [
        match.split()
        for _, script in scripts(path)
        for match in re.findall(r"\.venv/bin/twinproof ([^\n|]+)", script.replace("\\\n", " "))
    ]
    assert found
    for words in found:
        build_parser().parse_args([word.strip('"') for word in words])


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("permissions: {}", "permissions: write-all", "excessive-permissions"),
        ("@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7", "unpinned-uses"),
        ("  pull_request:\n", "  pull_request_target:\n", "dangerous-triggers"),
        ('"$GITHUB_REF_NAME"', '"${{ github.ref_name }}"', "template-injection"),
    ],
)
def test_the_lint_finds_what_it_is_there_for(tmp_path: Path, old: str, new: str, finding: str) -> None:
    directory = tmp_path / ".github" / "workflows"
    directory.mkdir(parents=True)
    text = BUILD.read_text(encoding="utf-8")
    assert old in text
    (directory / BUILD.name).write_text(text.replace(old, new), encoding="utf-8")
    done = subprocess.run(
        [Path(sys.executable).parent / "zizmor", "--offline", "--quiet", "--persona", "pedantic", directory],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert done.returncode != 0
    assert f"[{finding}]" in done.stdout


def test_the_schema_finds_a_misspelt_key(tmp_path: Path) -> None:
    path = tmp_path / "toy-build.yml"
    path.write_text(BUILD.read_text(encoding="utf-8").replace("    needs: image\n", "    need: image\n"))
    tool = str(Path(sys.executable).parent / "check-jsonschema")
    command = [tool, "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "need" in done.stdout


def test_the_lints_know_actions_too(tmp_path: Path) -> None:
    path, tools = tmp_path / "action.yml", Path(sys.executable).parent
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    path.write_text(text.replace("  using: composite\n", "  using: composit\n"))
    command = [str(tools / "check-jsonschema"), "--builtin-schema", "vendor.github-actions", str(path)]
    assert subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 1
    path.write_text(text.replace('run: bash "$SOURCE/', 'run: echo "${{ inputs.targets }}"; bash "$SOURCE/'))
    command = [str(tools / "zizmor"), "--offline", "--quiet", "--persona", "pedantic", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env={"HOME": str(tmp_path)})
    assert "[template-injection]" in done.stdout


def test_make_check_runs_every_lint() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    check = makefile.partition("\ncheck: setup\n")[2].partition("\n\n")[0]
    assert "workflows" in check
    lints = makefile.partition("\nworkflows: setup\n")[2].partition("\n\n")[0]
    assert [line.split()[0] for line in lints.splitlines()] == [
        "$(BIN)/zizmor",
        "$(BIN)/check-jsonschema",
        "$(BIN)/check-jsonschema",
        "$(BIN)/hadolint",
    ]
    assert [line.split()[-1] for line in lints.splitlines() if "action.yml" in line] == ["action.yml"] * 2
