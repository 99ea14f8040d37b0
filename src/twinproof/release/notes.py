"""What a version's GitHub Release says: its changes, and what anybody needs to check the rest themselves."""

from __future__ import annotations

__all__ = ["release_notes"]


def release_notes(changes: str, *, commit: str, image: str, compose_hash: str) -> str:
    """`changes` is the version's section of the changelog; `image` is `name@sha256:...` and may be empty.

    The commit stands in it, so a tag that was made again on another commit gives other notes, which are refused.
    """
    _, _, text = changes.strip().partition("\n")
    lines = [text.strip(), "", "### What was built", "", f"- Git SHA: `{commit}`"]
    if image:
        lines.append(f"- Image: `{image}`")
    if compose_hash:
        lines += [
            f"- Compose hash: `{compose_hash}`",
            "",
            "`app-compose.json` is the exact text that is deployed; its SHA-256 is the compose hash.",
        ]
    return "\n".join(lines) + "\n"
