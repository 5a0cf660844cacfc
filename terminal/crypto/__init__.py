"""Symmetric Crypto API: the seam between a Calypso card transaction and any SAM."""
