"""The shell: a client of the cluster that holds nothing. `app.run` is its way in."""
