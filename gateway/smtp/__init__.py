"""SMTP: the doors mail comes in by, and the way it goes out to partners."""
