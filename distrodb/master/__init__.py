"""The shell: a client of the cluster that holds nothing. `shell.run` is its way in."""
