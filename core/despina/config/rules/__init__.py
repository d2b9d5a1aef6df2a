"""What a configuration must keep to: a file for each part of it.

A rule is a generator of problems, so that one look at the errors shows all of them.
"""
