"""The Calypso PKI on the bench: whom a terminal trusts, and how a card gets its certificates."""
