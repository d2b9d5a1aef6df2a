"""What changes a running server: one function per operation, and what brings requests to them."""
