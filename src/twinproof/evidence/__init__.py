"""One instance's proof as data: the exact bytes received, the nonce they answer, and what binds them."""
