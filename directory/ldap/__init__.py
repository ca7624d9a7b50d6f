"""The directory over LDAP (RFC 4511), as address books of mail programs ask it: reading only, after login, inside TLS."""
