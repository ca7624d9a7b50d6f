"""Medical formats and patient identity: HPRIM, CDA, XDM, INS. Pure: bytes in, a Report out; imports nothing of ours."""
