"""`make demo`: a release's whole life on simulated machines, every step a command that a person could have typed."""
