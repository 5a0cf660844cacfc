"""What both ends of the wire agree on: no I/O, no state, no policy."""
