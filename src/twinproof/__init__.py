"""Prove that two Intel TDX confidential VMs run the same, published code."""
