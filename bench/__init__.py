"""What `make bench` measures and writes to docs/BENCHMARKS.md. Not part of the package."""
