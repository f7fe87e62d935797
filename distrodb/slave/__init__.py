"""One slave process: process.py wires it, core.py decides (docs/design.md, "The house")."""
