"""The Calypso card: file system, secure sessions, access conditions."""
