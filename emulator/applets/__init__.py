"""Applets for the Java Card runtime."""
