"""The seeds that every run of the tests replays, each with its reason.

A seed is a promise about the code it was found with: a change that draws one random number more
makes another run of it.  So each fault has a test of its own where it belongs, and the seed stays
here as one run more of a kind that was once enough.  New seeds are found by soaks
(``python -m tests.sim --soak``), never in the gate.
"""

# Runs of chaos.py.  A cluster's shape is the seed modulo seven, so that 28 in a row are each
# shape four times, with each fault a dozen times and more.
CHAOS = {
    **dict.fromkeys(range(28), "each shape, each fault"),
    242079387: "an old leader that heard of its successor stopped instead of stepping down",
    1242291416: "a slave slept through the birth, its partitions moved on, and its vote was needed",
    1331904751: "a member that was added counted before it knew that it votes",
}

# Runs of healing_chaos.py.
HEALING = {
    **dict.fromkeys(range(6), "each shape, each fault"),
    1002: "a live member of the map's group went while a dead one stayed",
    2007: "an owner that leaves, and must stay for want of others, did not lead",
    2021: "a live member went while a wanted one lagged",
    2037: "a live member went, counting on a dead one whose directory was lost",
    3005: "the map's group lost a live member without another one",
    3962900323: "the members that were left waited for a copy that was gone",
    1161339158: "a dead member was taken out counting on another one, whose link still stood",
    1497516421: "the checks counted copies one write set too late, after others had died",
    652341130: "a group slept through the birth as a whole, and none of it could lead",
    70003: "the checks did not wait until what was forgotten was deleted, an entry a write set",
    772000008: "the checks counted by the old members while a change was under way",
    652341470: "one that died within an election timeout was counted on, its directory lost",
}
