"""The HTTP port of a slave: how it is, for people and for what watches it.  It only ever reads.

``conversation`` is one connection and ``limits`` what all of them may take, both pure; ``document``
is an answer that is made in slices and kept for a moment; ``site`` has the paths; ``server`` the
sockets.

What always holds: clients' commands come first.  All of this runs between the turns of the slave's
loop, a bounded time each and a bounded part of all; what fails in it ends a connection, and never
the slave.
"""
