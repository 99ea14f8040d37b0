"""This verifier behind the protocol of the conformance corpus: `python -m twinproof.conformance`."""
