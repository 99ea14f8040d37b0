"""Is this quote genuine at time T? Intel's DCAP verification, from supplied collateral to a pinned root."""
