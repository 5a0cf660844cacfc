"""Legacy SAM API: SAM selection, image and the symmetric crypto service."""
