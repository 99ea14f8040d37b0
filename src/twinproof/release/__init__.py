"""Releases as text and plans: versions, changelog, the app-compose text of a version. No git, no files, no clock."""
