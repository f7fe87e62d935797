"""The cluster map with what this slave sees of it: DISTRODB STATUS, for ``distrodb status`` and the
shell.  Pure: view in, values out.
"""

from distrodb.ring.clustermap import node_of
from distrodb.slave.cluster_replies import Once
from distrodb.slave.group_ids import MAP_GROUP, all_groups, nodes_of
from distrodb.slave.view import View


def group_name(group_id: int) -> int | str:
    """As the shell shows it."""
    return "map" if group_id == MAP_GROUP else group_id


def status_of(view: View, node: str) -> str:
    """As the map has it; ``suspect`` is one that should be up and is not heard here."""
    status = view.map.nodes[node].status
    return "suspect" if status == "up" and not view.peers.is_alive(node) else status


class Status:
    def __init__(self, view: View):
        self._view, self._once = view, Once(view)

    def whole(self) -> dict[str, object]:
        view = self._view
        return {
            "asked": {
                "node": view.id,
                "incarnation": view.maps.incarnation,
                # Then the rest says nothing of the cluster.
                "waits_to_join": view.maps.waits_to_join,
                "waits_for_cluster": view.maps.waits_for_cluster,
                # Groups that do not count it, since it came back empty.
                "not_yet_in": [group_name(id_) for id_ in view.not_yet_in()],
                "replicas_of_file": view.config.replicas,
            },
            "epoch": view.map.epoch,
            "level": view.map.level,
            "ring": list(view.map.ring),
            "map_group": list(view.map.map_group),
            "controller": view.routing.leader_of(MAP_GROUP),
            "replicas": view.replicas,
            "healing": self._healing(),
            "moves": self._moves(),
            "nodes": {node: self._node(node) for node in view.map.nodes},
            "partitions": self._once(self._partitions),
        }

    def _node(self, node: str) -> dict[str, object]:
        view, row = self._view, self._view.map.nodes[node]
        load = view.load_of(node)
        return {
            "status": status_of(view, node),
            "client": row.client,
            "peer": row.peer,
            "gateway": view.gateway_of(node),
            "http": view.http_of(node),
            "incarnation": row.incarnation,
            "level": view.level_of(node),
            "slow_disk": view.has_slow_disk(node),
            "sync_ms": view.sync_ms(node),
            "commands_per_s": None if load is None else load.commands_per_s,
            "write_us": None if load is None else load.write_us,
            "read_us": None if load is None else load.read_us,
        }

    def _partitions(self) -> list[dict[str, object]]:
        view = self._view
        return [
            {
                "id": p.id,
                "slots": [p.first, p.last],
                "owner": p.owner,
                "group": list(p.group),
                "leader": view.routing.leader_of(p.id),
                "term": view.routing.term_of(p.id),
                "members": view.members_of(p.id),
            }
            for p in view.map.partitions
        ]

    def _healing(self) -> dict[str, object]:
        """How far the ring is from where it wants to be, as this slave sees it: partitions by what
        becomes of them (``ring/plan.py``)."""
        plan = self._view.healing()
        return {
            "is_done": plan is not None and plan.is_done,
            "moving": list(plan.moving) if plan else [],
            "waiting": list(plan.waiting) if plan else [],
            "stuck": list(plan.stuck) if plan else [],
            "is_map_moving": plan is not None and plan.is_map_moving,
        }

    def _moves(self) -> list[dict[str, object]]:
        """Groups whose members are on their way to what the map says.  ``done`` and ``total`` are
        the bytes of the snapshots that are being copied; ``total`` is 0 when none is, as far as
        known."""
        copies = self._view.copies()
        rows: list[dict[str, object]] = []
        for group_id, gone, come in self._once(self._changing):
            under_way = [copy for copy in copies if copy.group == group_id]
            rows.append(
                {
                    "group": group_name(group_id),
                    "from": gone,
                    "to": come,
                    "done": sum(copy.done for copy in under_way),
                    "total": sum(copy.total for copy in under_way),
                }
            )
        return rows

    def _changing(self) -> list[tuple[int, list[str], list[str]]]:
        """Groups, with the slaves that are to go, and those that are to come."""
        view, changing = self._view, []
        for group_id in all_groups(view.map):
            members = view.members_of(group_id)
            wanted = view.map.members(nodes_of(view.map, group_id))
            if members is None or set(members) == set(wanted):
                continue
            gone = [node_of(name) for name in members if name not in wanted]
            come = [node_of(name) for name in wanted if name not in members]
            changing.append((group_id, gone, come))
        return changing
