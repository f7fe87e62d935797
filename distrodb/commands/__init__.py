"""The commands: one row and one small handler each, a file a family.  Pure."""
