"""A copy of a sorted list, without sorting: lists of its own, of the same entries."""

from sortedcontainers import SortedList


def copy_of(order: SortedList) -> SortedList:
    copy = SortedList()
    copy._lists = [part.copy() for part in order._lists]
    copy._maxes = order._maxes.copy()
    copy._len = order._len
    return copy
