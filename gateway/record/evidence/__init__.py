"""Evidence of one message: a file for whoever must judge, and its verification by that file alone (TOU-A14)."""
