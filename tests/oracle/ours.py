"""Our side without sockets: session and service as they are, over partitions that answer at once.

A command costs some microseconds here, so thousands can be compared in a second; that the same
comes through sockets, the log and three slaves is shown with fewer (test_cluster.py).
"""

from distrodb.clock import wall_ms
from distrodb.raft.interfaces import Request
from distrodb.slave.gateway import Gateway
from distrodb.slave.questions import Questions
from distrodb.slave.session import Session
from tests.oracle.frames import Frame, pack, read_frames
from tests.unit.session_world import PARTITIONS, World


class PureServer(World):
    def __init__(self, is_cluster: bool = True, partitions: int | None = None):
        """A gateway has one partition unless told otherwise: then it is a single server."""
        super().__init__(partitions=partitions or (PARTITIONS if is_cluster else 1))
        self._behind = None if is_cluster else Gateway(self.service)
        self.pubsub.peers = []  # nobody else is there to be asked
        self.pubsub.questions = Questions(self.parcels, [])  # type: ignore[arg-type]
        self.session = self.connect()

    def forward(self, request: Request, partition: int, sender: object = None) -> None:
        """A command from the gateway, as if the way to the leader took no time."""
        self.submit(request, partition)

    def answer(self, partition: int) -> None:
        """At the time of the clock, as the other server does."""
        while self.queues[partition]:
            request = self.queues[partition].popleft()
            store = self.stores[partition]
            store.advance(wall_ms(), 0)
            self.run(partition, request, store.now_ms)

    def finish(self) -> bytes:
        taken = super().finish()
        while not (self.session.wants_input or self.session.is_waiting):  # CLIENT PAUSE 0
            self.process.pass_time(0.001)
            taken += super().finish()
        return taken

    def connect(self) -> Session:
        return self.service.open_session(self._woken, "127.0.0.1:1", self._behind)

    def finish_one(self, session: Session) -> bytes:
        """All that is to be sent to one of several clients."""
        self.session = session
        return self.finish()

    def ask_all(self, commands: list[list[bytes]]) -> list[Frame]:
        frames = read_frames(self.ask(b"".join(map(pack, commands))))
        assert len(frames) == len(commands), f"{len(frames)} replies to {commands}"
        return frames
