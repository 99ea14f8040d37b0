"""TDX bytes to frozen types: quotes, reports, register replay, the raw event log."""
