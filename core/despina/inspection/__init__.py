"""What can be told of models without loading them. Imports neither the engine nor a backend."""
