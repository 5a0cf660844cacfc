"""Calypso Card API: card image and transaction managers."""
