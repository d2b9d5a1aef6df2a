"""``despina serve --dev``: a plugin is served from its sources, and follows what is saved."""
