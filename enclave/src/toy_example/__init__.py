"""The toy example: what runs inside the TEE. All of it is measured, and all of it is trusted: keep it small."""
