"""What keeps backends, plugins and the whole server from working, and what to do about it."""
