"""What changed between two versions, in words; and whether the compose hash changes."""

from __future__ import annotations

import json

import pytest

from twinproof.release.compose_diff import compose_difference

A, B = f"sha256:{'ab' * 32}", f"sha256:{'cd' * 32}"
COMPOSE = f"""services:
  app:
    image: ghcr.io/example/toy@{A}
    ports: ["8080:8080"]
    environment:
      ENVIRONMENT: production
    volumes:
      - /var/run/dstack.sock:/var/run/dstack.sock
"""


def text(compose: str = COMPOSE, **members: object) -> str:
    return json.dumps({"manifest_version": 2, "name": "toy", "docker_compose_file": compose, **members})


def changes(new: str, old: str = "") -> list[str]:
    return [str(change) for change in compose_difference(old or text(), new).changes]


def test_the_same_bytes_are_no_change() -> None:
    difference = compose_difference(text(), text())
    assert (difference.same_hash, difference.changes) == (True, ())


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (text(COMPOSE.replace(A, B)), f"service app: image digest {A[:19]}... -> {B[:19]}..."),
        (text(COMPOSE.replace("/toy@", "/toi@")), "service app: image ghcr.io/example/toy@"),
        (
            text(COMPOSE.replace("production", "staging")),
            "service app: environment variable ENVIRONMENT: production -> staging",
        ),
        (
            text(COMPOSE.replace("ENVIRONMENT: production", "ENV: production")),
            "service app: environment variable ENV added",
        ),
        (text(COMPOSE.replace('["8080:8080"]', '["8080:8080", "9090:9090"]')), "service app ports: added 9090:9090"),
        (
            text(COMPOSE.replace("      - /var/run/dstack.sock:/var/run/dstack.sock\n", "      - x:/x\n")),
            "service app volumes: removed /var",
        ),
        (text(f"{COMPOSE}    privileged: true\n"), "service app privileged: added: true"),
        (text(f"{COMPOSE}  other:\n    image: x\n"), "service other: added, image x"),
        (text(COMPOSE.replace("  app:", "  web:")), "service app: removed"),
        (text(f"{COMPOSE}networks:\n  a: {{}}\n"), "networks: added"),
        (text(public_logs=True), "public_logs: added: true"),
        (text(pre_launch_script="a\nb"), "pre_launch_script: added, 2 lines that run as root"),
        (text(allowed_envs=["A"]), "allowed_envs: added: ['A']"),
        (
            text(COMPOSE.replace("services:", "# a word\nservices:")),
            "docker_compose_file: comments, spacing or order only",
        ),
    ],
)
def test_each_change_is_said(new: str, said: str) -> None:
    assert any(change.startswith(said) for change in changes(new)), changes(new)
    assert not compose_difference(text(), new).same_hash


def test_scripts_and_lists_say_how_they_changed() -> None:
    old = text(init_script="a", allowed_envs=["A", "B"])
    assert changes(text(init_script="a\nb", allowed_envs=["B", "C"]), old) == [
        "allowed_envs: added C",
        "allowed_envs: removed A",
        "init_script: changed, 1 -> 2 lines that run as root",
    ]
    assert changes(text(init_script="a", allowed_envs=["B", "A"]), old) == ["allowed_envs: another order"]
    assert changes(text(allowed_envs=["A", "B"]), old) == ["init_script: removed"]


def test_a_list_of_variables_is_read_like_a_map() -> None:
    listed = COMPOSE.replace("      ENVIRONMENT: production\n", "      - ENVIRONMENT=production\n")
    assert changes(text(listed)) == []


def test_members_in_another_order_mean_the_same_and_have_another_hash() -> None:
    difference = compose_difference('{"a": 1, "b": 2}', '{"b": 2, "a": 1}')
    assert (difference.same_hash, difference.changes) == (False, ())


def test_untrusted_text_is_shown_without_control_characters() -> None:
    assert "\x1b" not in " ".join(changes(text(name="\x1b[31mred")))
