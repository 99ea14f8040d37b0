"""Deployments: the plan of one, the record that is left of it, and whether that record tells the truth."""
