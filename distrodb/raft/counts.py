"""What the Raft groups of one slave count, all together.  A batch costs two increments here; the
rest is rare.
"""

from distrodb.commands.powers import Powers


class Counts:
    def __init__(self) -> None:
        self.write_us, self.read_us = Powers(), Powers()  # from a batch's start to its replies
        self.batch_writes = Powers()  # commands that write, of one entry
        self.elections = 0  # in which a member here stood
        self.leads_won = self.leads_lost = 0
        self.membership_changes = 0  # that a leader here has begun
        self.snapshots_taken = self.snapshots_begun = 0  # of its own; to a member
        self.snapshots_installed = self.snapshots_refused = 0
