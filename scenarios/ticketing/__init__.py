"""A small ticketing application on Calypso cards: what the stories' terminals run."""
