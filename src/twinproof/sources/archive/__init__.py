"""The evidence archive: one SQLite file for what differs between bundles, one file for each text that they share."""
