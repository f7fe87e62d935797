"""What is wrong with this cluster, in words: a pure function over what a slave knows.

``finding`` is one thing that is wrong, and ``facts`` what is judged; ``cluster`` judges partitions,
slaves and copies, ``conditions`` what each slave tells of itself, and ``diagnosis`` is all of it,
worst first.
"""
