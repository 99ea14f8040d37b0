"""A TDX world on one machine, for tests and demonstrations: NOT INTEL, no hardware behind it."""
