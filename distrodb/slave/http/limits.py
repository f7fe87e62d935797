"""What all HTTP connections of a slave may take together."""

CONNECTIONS_MAX = 64  # beyond, one that waits for its next request goes, else the new one does
# Seconds of a connection, then it is closed: between two requests (Prometheus asks each 15 to 60),
# for the rest of a request, and for a client to take its answer.
IDLE_S, HEAD_S, TAKE_S = 75.0, 10.0, 20.0
REQUESTS_PER_S = 200  # each takes a third of a millisecond, about
REQUESTS_AT_ONCE = 50
REQUESTS_A_TURN = 4  # of the loop
