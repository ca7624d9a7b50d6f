"""Octets and seconds, as the declarations of this package write them."""

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB
MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
