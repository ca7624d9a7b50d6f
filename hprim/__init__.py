"""Medical formats and patient identity: HPRIM, CDA, XDM, INS. Pure: bytes in, a Report out; imports nothing of ours.

Read: :func:`hprim.check.check_file` (any one file), :func:`hprim.check.check_message` (the parts of a mail).
Build: :mod:`hprim.compose` (HPRIM text, ``IHE_XDM.zip``, subject, names), :mod:`hprim.wrap` (a CDA around a PDF),
:mod:`hprim.identity` (an identity from plain data).
Show: :mod:`hprim.render`. Remember: :mod:`hprim.history`. What is asked: :mod:`hprim.rules`; how gravely, and what was
found: :mod:`hprim.findings`.
"""
