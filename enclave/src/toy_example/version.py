"""The version: the same as in pyproject.toml and the git tag."""

__version__ = "1.0.0"
