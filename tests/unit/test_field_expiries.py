"""When the fields of a hash expire: what it says is what a plain dictionary says, whatever it went
through; runs are cut and joined as it grows and shrinks."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.keyspace.containers import field_expiries
from distrodb.keyspace.containers.field_expiries import FieldExpiries
from distrodb.keyspace.containers.hash import Hash


@pytest.fixture(autouse=True, scope="module")
def short_runs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(field_expiries, "RUN_MAX", 8)
        yield


def check(expiries: FieldExpiries, model: dict[bytes, int], moments: range) -> None:
    in_order = sorted(model.items(), key=lambda each: (each[1], each[0]))
    assert list(expiries.times().items()) == in_order and len(expiries) == len(model)
    assert expiries.soonest_ms == min(model.values(), default=float("inf"))
    for now_ms in moments:
        due = [field for field, at_ms in in_order if at_ms <= now_ms]
        assert expiries.count_due(now_ms) == len(due)
        assert expiries.latest_due_ms(now_ms) == (model[due[-1]] if due else None)
        for count in (0, 1, 9, len(due)):
            assert expiries.due(now_ms, count) == due[:count]
    runs = [run.fields for run in expiries._runs]
    assert all(0 < len(run) <= 8 for run in runs)
    assert [field for run in runs for field in run] == [field for field, _ in in_order]


fields = st.integers(0, 60).map(lambda number: b"%d" % number)
changes = st.lists(st.tuples(fields, st.one_of(st.none(), st.integers(1, 12))), max_size=300)


@given(changes, changes)
def test_it_says_what_a_dictionary_says(before, after) -> None:  # type: ignore[no-untyped-def]
    expiries, model = FieldExpiries(), dict[bytes, int]()
    for field, at_ms in before:
        change(expiries, model, field, at_ms)
    check(expiries, model, range(14))
    copy, of_copy = FieldExpiries(expiries), model.copy()
    for field, at_ms in after:
        change(copy, of_copy, field, at_ms)
    check(copy, of_copy, range(14))
    check(expiries, model, range(14))  # nothing that is written to the copy is seen in it
    for field, at_ms in reversed(after):
        change(expiries, model, field, at_ms)
    check(expiries, model, range(14))
    check(copy, of_copy, range(14))  # nor the other way


def change(
    expiries: FieldExpiries, model: dict[bytes, int], field: bytes, at_ms: int | None
) -> None:
    assert expiries.get(field) == model.get(field)
    if at_ms is None:
        assert expiries.forget(field) == (model.pop(field, None) is not None)
    else:
        expiries.set(field, at_ms)
        model[field] = at_ms


@pytest.mark.parametrize(
    "order", [range(100), range(99, -1, -1), [n * 37 % 100 for n in range(100)]]
)
def test_it_grows_and_shrinks(order) -> None:  # type: ignore[no-untyped-def]
    expiries, model = FieldExpiries(), dict[bytes, int]()
    for number in order:
        change(expiries, model, b"%d" % number, number + 1)
    check(expiries, model, range(0, 110, 7))
    # Few runs are nearly empty: half full on average, those that grow at the end wholly.
    assert len(expiries._runs) <= (13 if order == range(100) else 26)
    for number in sorted(order, key=lambda number: number * 61 % 100)[:90]:
        change(expiries, model, b"%d" % number, None)
    check(expiries, model, range(0, 110, 7))
    assert len(expiries._runs) <= 5
    for field in list(model):
        change(expiries, model, field, None)
    check(expiries, model, range(0, 110, 7))
    assert not expiries._runs


def test_a_field_that_expires_is_in_memory_once() -> None:
    one, field, again = Hash(0), bytes(bytearray(b"field")), bytes(bytearray(b"field"))
    assert field is not again
    one.set(field, b"1")
    one.expire_at(again, 5)
    assert one.expiries is not None
    assert one.expiries.due(5, 1)[0] is field and next(iter(one.expiries._times)) is field
