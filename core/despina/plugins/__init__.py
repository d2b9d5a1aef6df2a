"""What plugins offer: backends, and hooks."""
