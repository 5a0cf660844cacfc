"""The security module: a software Calypso SAM on the card chassis."""
