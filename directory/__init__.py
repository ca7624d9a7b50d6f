"""Who can be reached: the trust list and, later, the directory of professionals."""
