"""What answers in place of hardware: the chassis every card is made of, cards, and readers for them."""
