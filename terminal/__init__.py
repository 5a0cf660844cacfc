"""What a real terminal runs; it knows nothing of emulators."""
