"""What is due next, by key: the same as looking at all of them each time."""

import math

from hypothesis import given
from hypothesis import strategies as st

from distrodb.slave.deadlines import Deadlines

steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 5), st.integers(0, 20) | st.just(math.inf)),
        st.tuples(st.just("remove"), st.integers(0, 5)),
        st.tuples(st.just("take"), st.integers(0, 20)),
    ),
    max_size=40,
)


@given(steps)
def test_it_is_what_a_look_at_all_of_them_would_find(steps):
    deadlines, due = Deadlines(), {}
    for kind, *rest in steps:
        if kind == "put":
            deadlines.put(*rest)
            due[rest[0]] = rest[1]
        elif kind == "remove":
            deadlines.remove(rest[0])
            due.pop(rest[0], None)
        else:
            passed = {key for key, at in due.items() if at < rest[0]}
            taken = deadlines.take(rest[0])
            assert len(taken) == len(passed) and set(taken) == passed
            for key in passed:
                del due[key]
        assert deadlines.next_due == min(due.values(), default=math.inf)


def test_a_moment_that_only_moves_later_takes_one_place():
    """A busy leader's heartbeat moves with each message."""
    deadlines = Deadlines()
    for n in range(10_000):
        deadlines.put(1, float(n))
    assert len(deadlines._heap) == 1 and deadlines.take(9_999.5) == [1]


def test_it_is_not_due_at_its_moment_but_after_it():
    """Members tick when their moment is over: one taken at it would be taken for ever."""
    deadlines = Deadlines()
    deadlines.put(1, 5.0)
    assert deadlines.take(5.0) == [] and deadlines.take(5.001) == [1]
