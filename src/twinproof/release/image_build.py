"""How the image is built, as one command line: the same commit gives the same digest, whenever and wherever.

docs/build-repro.md of moby/buildkit: SOURCE_DATE_EPOCH for the image's own times, `rewrite-timestamp` for the files in
its layers, and no provenance or SBOM in the index, for they hold the time and the run. Provenance is attested apart.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from twinproof.errors import Malformed
from twinproof.release.build_settings import BuildSettings
from twinproof.wire import parse_object

__all__ = ["PLATFORM", "build_command", "builder_command", "built_digest"]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
PLATFORM = "linux/amd64"
"""Of every TDX machine. One platform: the digest is that of one manifest, not of an index."""


def builder_command(name: str, settings: BuildSettings) -> tuple[str, ...]:
    """Start BuildKit in the version that is pinned."""
    return (
        *("docker", "buildx", "create", "--name", name, "--driver", "docker-container"),
        *("--driver-opt", f"image={settings.buildkit}"),
    )


def build_command(
    name: str, settings: BuildSettings, image: str, commit: str, epoch: int, *, metadata: str, context: str, push: bool
) -> tuple[str, ...]:
    """Build without any cache. Pushed by digest alone: which tags it gets is decided afterwards.

    `epoch` is the commit's time, unix seconds: BUILD_TIME too, so that building later gives the same image.
    """
    output = [
        *("type=image", f"name={image}", "push-by-digest=true", f"push={'true' if push else 'false'}"),
        *("rewrite-timestamp=true", "oci-mediatypes=true", "compression=gzip", "force-compression=true"),
    ]
    time = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    arguments = {
        "BASE_DIGEST": settings.base_digest,
        "GIT_SHA": commit,
        "BUILD_TIME": time,
        "SOURCE_DATE_EPOCH": str(epoch),
    }
    return (
        *("docker", "buildx", "build", "--builder", name, "--platform", PLATFORM, "--no-cache", "--pull"),
        *("--provenance=false", "--sbom=false", "--output", ",".join(output), "--metadata-file", metadata),
        *(part for key, value in arguments.items() for part in ("--build-arg", f"{key}={value}")),
        context,
    )


def built_digest(metadata: str) -> str:
    """`sha256:...` of what was built. Raises Malformed for metadata without it."""
    fields = parse_object(metadata, "buildx metadata", max_bytes=8 << 20)
    digest = fields.text("containerimage.digest", max_chars=100)
    if not _DIGEST.fullmatch(digest):
        raise Malformed("not an image digest", where="buildx metadata", got=digest)
    return digest
