"""For those who write Python: a mapping, locks and elections, over redis-py's connections.

    operations, lease   pure: what a method asks of the cluster, as generators of requests
    request, routes     pure: what is asked at once; who is asked
    wire                pure: what a connection reads, and what a failure says of a write
    link                asks it, by connections of redis-py
    sync, transaction, locks    what applications hold
    aio_link, aio       the same for asyncio

``operations`` and ``lease`` yield requests and are sent the replies.  A write is never sent
twice: see ``request.OutcomeUnknown``.
"""
