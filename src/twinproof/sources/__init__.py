"""The edges: the only place below the commands with sockets, files, the clock and randomness."""
