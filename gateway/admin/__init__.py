"""What an operator runs: the test PKI, the trust space in a box, the doctor."""
