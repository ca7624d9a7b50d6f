"""Unsolicited mail and breaches of the terms: cases, penalties, suspensions of sending, and the notices they owe.

:mod:`gateway.sanctions.cases` and :mod:`gateway.sanctions.suspensions` are what administrators do, each act with its event and its
notice in one transaction; :mod:`gateway.sanctions.standing` is what the doors ask.
"""
