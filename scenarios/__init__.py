"""The bench you run: wiring, stories, campaigns, benchmarks and the command line."""
