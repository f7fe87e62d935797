"""Lua 5.1 for scripts: the same on every replica, bounded, and shut off from the slave.  Pure."""
