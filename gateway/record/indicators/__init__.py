"""Monthly indicators of use: counted from the journal, written by a format, kept three months with names (MSS-140, TOU-A12)."""
