"""The verbs of the command line, one file each.

A verb's module imports the standard library only, so that `--help` works anywhere; what the verb needs is
imported in `run`.
"""
