"""What a reader must know about a compose file beyond its hash: inputs that can change what runs, or who can see it.

The hash covers the text. It does not cover what the text fetches, runs or lets in. Every notice is a question that the
person who pins this compose hash has to answer; none of them is a failure by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from twinproof.dstack.app_compose import AppCompose, parse_app_compose
from twinproof.dstack.compose_file import ComposeFile, scan_compose_file
from twinproof.errors import Malformed
from twinproof.memo import remembered
from twinproof.wire import shown

__all__ = ["OPEN_CODE", "Notice", "unmeasured_inputs"]

OPEN_CODE = frozenset(
    {
        "compose_file_missing",
        "compose_file_unread",
        "envs_choose_code",
        "image_built",
        "image_by_tag",
        "image_by_variable",
        "other_files",
        "runner_is_a_script",
        "runner_unknown",
        "unreadable",
        "variables_choose_code",
    }
)
"""Notices after which equal texts may mean different code: two machines can read one text and run two programs."""
COMPOSE_RUNNERS = frozenset({"docker-compose", "nerdctl-compose"})
_CHOOSES_CODE = re.compile(
    r"(?:COMPOSE|LD|BASH|BUILDKIT|BUILDX|CONTAINERD|NERDCTL)_\w+"
    r"|DOCKER_(?:HOST|CONTEXT|CONFIG|CERT_PATH|DEFAULT_PLATFORM|CLI_\w+)"
    r"|PATH|HOME|ENV|BASHOPTS|SHELLOPTS|IFS|PS4|CDPATH|GLIBC_TUNABLES|GCONV_PATH|XDG_\w+",
    re.ASCII,
)
"""Names of which bash, the loader or Docker Compose make more than a value. The guest gives allowed variables to the
shell that starts the containers: `COMPOSE_FILE` names another compose file, `BASH_ENV` a script to run first.
"""
MOST_SHOWN = 12


class Notice(NamedTuple):
    """`id` is stable (`image_by_tag`), `text` says what it means, `detail` names the lines or members."""

    id: str
    text: str
    detail: str = ""

    @property
    def said(self) -> str:
        return f"{self.text}: {self.detail}" if self.detail else self.text


@remembered
def unmeasured_inputs(text: str) -> tuple[Notice, ...]:
    """The notices for one app-compose text. Never raises: a text that cannot be read is a notice itself."""
    try:
        compose = parse_app_compose(text)
    except Malformed as error:
        return (
            Notice("unreadable", "the app-compose text could not be read, so nothing is known about it", str(error)),
        )
    return (*_images(compose), *_scripts(compose), *_openings(compose))


def _listed(items: list[str]) -> str:
    more = f" and {len(items) - MOST_SHOWN} more" if len(items) > MOST_SHOWN else ""
    return "; ".join(items[:MOST_SHOWN]) + more


def _images(compose: AppCompose) -> Iterator[Notice]:
    if compose.runner == "bash":
        yield Notice("runner_is_a_script", "a script starts what runs: there is no compose file to name images")
        return
    if compose.runner not in COMPOSE_RUNNERS:
        yield Notice("runner_unknown", "a runner that is not known here", shown(compose.runner, 40))
    if compose.docker_compose_file is None:
        yield Notice("compose_file_missing", "there is no compose file, so nothing is known about its containers")
        return
    found = scan_compose_file(compose.docker_compose_file)
    yield from _what_it_names(found)
    if found.variables:
        yield Notice(
            "interpolation",
            "values come from outside the measured text: the environment decides them",
            _listed(list(found.variables)),
        )
    if found.decided_outside:
        yield Notice(
            "variables_choose_code",
            "a variable stands where a command, a mount or another choice of what runs is made",
            _listed(found.decided_outside),
        )
    if found.privileges:
        yield Notice(
            "host_access",
            "a container can reach the runtime that starts containers, or the whole guest: it can run other code",
            _listed(found.privileges),
        )
    if found.doubts:
        yield Notice(
            "compose_file_unread",
            "lines of the compose file could not be read here: read them yourself",
            _listed([f"line {line}: {why}" for line, why in found.doubts]),
        )


def _what_it_names(found: ComposeFile) -> Iterator[Notice]:
    by_variable = [f"line {image.line}: {shown(image.value)}" for image in found.images if image.variables]
    by_tag = [
        f"line {image.line}: {shown(image.value)}" for image in found.images if not image.pinned and not image.variables
    ]
    if by_tag:
        yield Notice(
            "image_by_tag",
            "an image named by tag is whatever the registry serves: only @sha256:... names its content",
            _listed(by_tag),
        )
    if by_variable:
        yield Notice("image_by_variable", "which image runs is decided outside the measured text", _listed(by_variable))
    if found.builds:
        yield Notice(
            "image_built",
            "an image is built in the VM from whatever its build fetches",
            _listed([f"line {line}" for line in found.builds]),
        )
    if found.elsewhere:
        yield Notice(
            "other_files",
            "the compose file takes in other files, which are not measured with it",
            _listed(found.elsewhere),
        )


def _scripts(compose: AppCompose) -> Iterator[Notice]:
    scripts = [
        ("init_script", "\n".join(compose.init_scripts), "before the container runtime"),
        ("pre_launch_script", compose.pre_launch_script, "before the containers"),
        (
            "bash_script",
            compose.bash_script,
            "instead of containers" if compose.runner == "bash" else "if ever asked for",
        ),
    ]
    for name, script, when in scripts:
        if script:
            lines = len(script.splitlines())
            yield Notice(
                name,
                f"a measured script runs as root {when}; what it downloads is not measured",
                f"{lines} line{'s' if lines != 1 else ''}, starting {shown(script, 60)}",
            )


def _openings(compose: AppCompose) -> Iterator[Notice]:
    if compose.allowed_envs:
        yield Notice(
            "allowed_envs",
            "anyone can encrypt values for these environment variables, the host included: they are not measured",
            _listed([shown(name, 60) for name in compose.allowed_envs]),
        )
    steering = [shown(name, 60) for name in compose.allowed_envs if _CHOOSES_CODE.fullmatch(name)]
    if steering:
        yield Notice(
            "envs_choose_code",
            "these variables choose what the guest starts, and with which libraries: the measured text does not decide",
            _listed(steering),
        )
    if compose.key_provider == "kms" and not compose.key_provider_id:
        yield Notice("key_provider_unpinned", "any KMS that the host names is accepted: pin the KMS root you trust")
    if compose.key_provider == "none":
        yield Notice("no_key_provider", "keys are new at every boot and nothing outside vouches for them")
    if compose.public_logs:
        yield Notice("public_logs", "anyone can read the containers' logs on port 8090")
    if compose.public_sysinfo:
        yield Notice("public_sysinfo", "anyone can read the VM's load and disks on port 8090")
    if not compose.secure_time:
        yield Notice(
            "secure_time_off", "the guest starts without waiting for authenticated time: the host sets its clock"
        )
    if compose.no_instance_id:
        yield Notice("no_instance_id", "instances have no id of their own: only the machine tells two apart")
    if not compose.has_requirements:
        yield Notice(
            "no_requirements", "the guest itself demands no OS version, platform or GPU policy before it starts"
        )
