"""The transparency log: what DstackKms and DstackApp ever allowed, who could change it, and proofs of both. No I/O."""
