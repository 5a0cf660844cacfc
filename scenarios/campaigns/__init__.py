"""Campaigns: a story again and again, with something different each time."""
