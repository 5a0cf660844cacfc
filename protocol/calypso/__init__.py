"""Calypso structures that both ends of the wire read: startup information, FCI, file headers, keys."""
