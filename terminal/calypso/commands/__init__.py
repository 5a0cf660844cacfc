"""The commands of a Calypso card, as the terminal prepares them."""
