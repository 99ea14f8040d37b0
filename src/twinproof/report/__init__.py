"""Verdicts and proofs as text for people: pure functions from results to strings."""
