"""A small Sigstore instance on loopback: who someone is, a certificate that says so, and a log that never shrinks."""
