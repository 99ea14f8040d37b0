"""The simulated chain: contracts, blocks and state, JSON-RPC on loopback, and endpoints that lie on demand."""
