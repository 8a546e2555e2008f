"""What spans partitions: shares of limits, which one a pinned flow lies in, when one may be retired."""
