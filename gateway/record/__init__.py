"""Evidence: the hash-chained journal and its readings."""
