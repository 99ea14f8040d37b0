"""Conformance cases for verifiers of quotes and of evidence bundles: one input, one time, one expected answer each."""
