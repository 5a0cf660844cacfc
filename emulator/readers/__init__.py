"""Ways to plug a card in: the in-process slot, and services for programs outside this process."""
