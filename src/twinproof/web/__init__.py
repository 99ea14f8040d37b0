"""Read-only pages over an archive: what was proved, when, of which version and machine."""
