"""Card API: grouped requests and their responses."""
