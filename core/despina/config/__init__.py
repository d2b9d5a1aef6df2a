"""Model configurations: text, message, defaults, checks, and what the engine gets of them."""
