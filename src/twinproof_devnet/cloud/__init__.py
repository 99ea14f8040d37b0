"""A cloud on loopback: the REST API that the official `phala` command speaks, real instances, keys by the chain."""
