"""Protobuf's text form, read with the place of everything and past the first error."""
