"""What runs in a dstack confidential VM: its event log, its compose file and what the quote measured of them."""
