"""Bytes that nobody meant, for everything that reads bytes of others: clients, peers, disks, files.

    targets.py     what is fuzzed: a row each
    mutation.py    inputs out of seeds and of what was found before
    fuzzing.py     runs inputs, and says which of them break a promise
    corpus/        every input that once broke one; replayed by the gate

``python -m tests.fuzz TARGET --inputs N --seed S`` runs one by hand; ``guided.py`` by coverage.
"""
