"""Card images on disk (SQLite) and personalisations (TOML)."""
