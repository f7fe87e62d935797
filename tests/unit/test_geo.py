"""Places: Redis' documented examples, and searches against looking at every member.

https://redis.io/docs/latest/commands/?group=geo
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.commands import geo
from distrodb.keyspace import geohash, trigonometry
from distrodb.keyspace.geohash import LATITUDE_MAX, Shape
from distrodb.keyspace.store import Store
from distrodb.resp.reply import NULL_ARRAY, ErrorReply, NumberText
from distrodb.ring.slots import slot_of
from tests.support.stores import ask, new_store

SICILY = "GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania"


@pytest.fixture
def store() -> Store:
    made = new_store(0, 0)
    assert ask(made, SICILY) == 2
    return made


def place(longitude: str, latitude: str) -> list[NumberText]:
    return [NumberText(longitude.encode()), NumberText(latitude.encode())]


PALERMO = place("13.36138933897018433", "38.11555639549629859")
CATANIA = place("15.08726745843887329", "37.50266842333162032")


def test_the_examples_of_the_documentation(store: Store) -> None:
    assert ask(store, "GEODIST Sicily Palermo Catania") == b"166274.1516"
    assert ask(store, "GEODIST Sicily Palermo Catania km") == b"166.2742"
    assert ask(store, "GEODIST Sicily Palermo Catania mi") == b"103.3182"
    assert ask(store, "GEODIST Sicily Foo Bar") is None
    assert ask(store, "GEOHASH Sicily Palermo Catania") == [b"sqc8b49rny0", b"sqdtr74hyu0"]
    assert ask(store, "GEOPOS Sicily Palermo Catania NonExisting") == [PALERMO, CATANIA, NULL_ARRAY]
    assert ask(store, "GEORADIUS Sicily 15 37 100 km") == [b"Catania"]
    assert ask(store, "GEORADIUS Sicily 15 37 200 km WITHDIST") == [
        [b"Palermo", b"190.4424"],
        [b"Catania", b"56.4413"],
    ]
    assert ask(store, "GEORADIUS Sicily 15 37 200 km WITHDIST WITHCOORD") == [
        [b"Palermo", b"190.4424", PALERMO],
        [b"Catania", b"56.4413", CATANIA],
    ]
    assert ask(store, "GEOADD Sicily 13.583333 37.316667 Agrigento") == 1
    assert ask(store, "GEORADIUSBYMEMBER Sicily Agrigento 100 km") == [b"Agrigento", b"Palermo"]


def test_the_examples_of_geosearch(store: Store) -> None:
    ask(store, "GEOADD Sicily 12.758489 38.788135 edge1 17.241510 38.788135 edge2")
    near = "GEOSEARCH Sicily FROMLONLAT 15 37"
    assert ask(store, f"{near} BYRADIUS 200 km ASC") == [b"Catania", b"Palermo"]
    assert ask(store, f"{near} BYBOX 400 400 km ASC WITHCOORD WITHDIST") == [
        [b"Catania", b"56.4413", CATANIA],
        [b"Palermo", b"190.4424", PALERMO],
        [b"edge2", b"279.7403", place("17.24151045083999634", "38.78813451624225195")],
        [b"edge1", b"279.7405", place("12.7584877610206604", "38.78813451624225195")],
    ]
    stored = "GEOSEARCHSTORE key1 Sicily FROMLONLAT 15 37 BYBOX 400 400 km ASC COUNT 3"
    assert ask(store, stored) == 3
    assert ask(store, "GEOSEARCH key1 FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHDIST WITHHASH") == [
        [b"Catania", b"56.4413", 3479447370796909],
        [b"Palermo", b"190.4424", 3479099956230698],
        [b"edge2", b"279.7403", 3481342659049484],
    ]
    assert ask(store, f"{stored.replace('key1', 'key2')} STOREDIST") == 3
    assert ask(store, "ZRANGE key2 0 -1") == [b"Catania", b"Palermo", b"edge2"]
    distance = ask(store, "ZSCORE key2 Catania")
    assert isinstance(distance, float) and math.isclose(distance, 56.4412578701582, rel_tol=1e-13)


def test_a_script_gets_numbers() -> None:
    store, place = new_store(0, 16383), slot_of(b"Sicily")
    ask(store, SICILY, place=place)
    for protocol, told in ((2, b"15.08726745843887329"), (3, b"15.087267458439")):
        code = b"redis.setresp(%d) local p = redis.call('GEOPOS', KEYS[1], 'Catania')[1][1]"
        code += b" return type(p) == 'table' and tostring(p.double) or p"
        found = store.execute(place, [b"EVAL", code % protocol, b"1", b"Sicily"], 0)
        assert found == told


longitudes = st.floats(-180, 180) | st.sampled_from([0.0, 180.0, -180.0, 179.999])
latitudes = st.floats(-LATITUDE_MAX, LATITUDE_MAX) | st.sampled_from([0.0, 85.0, -85.0])
places = st.tuples(longitudes, latitudes)


@given(places)
def test_a_place_comes_back_to_less_than_a_metre(where: tuple[float, float]) -> None:
    score = float(geohash.encode(where))
    back = geohash.decode(score)
    assert abs(back[0] - where[0]) <= 360 / 2**26 and abs(back[1] - where[1]) <= 342 / 2**26
    assert geohash.is_place(*back)
    if where[0] < 179.99 and where[1] < 85.04:
        assert float(geohash.encode(back)) == score < 2**52


@given(st.floats(allow_nan=False))
def test_whatever_score_is_some_place(score: float) -> None:
    longitude, latitude = geohash.decode(score)
    assert geohash.is_place(longitude, latitude)


near = st.tuples(st.floats(-60, 60), st.floats(-60, 60))


@given(
    near,
    st.lists(near, max_size=40),
    st.floats(0, 3_000_000),
    st.floats(0, 3_000_000),
    st.booleans(),
)
def test_the_cells_cover_what_a_shape_holds(
    middle: tuple[float, float],
    others: list[tuple[float, float]],
    width: float,
    height: float,
    is_box: bool,
) -> None:
    """Away from the poles, where Redis' way misses some, and ours too."""
    shape = Shape(middle, width, height, is_box)
    ranges = shape.score_ranges()
    assert 1 <= len(ranges) <= 9
    for other in others:
        score = geohash.encode(other)
        if shape.distance(geohash.decode(float(score))) is not None:
            assert any(first <= score < behind for first, behind in ranges)


@given(st.floats(-4, 4))
def test_sines_are_those_of_the_library_but_for_the_last_digit(x: float) -> None:
    assert math.isclose(trigonometry.sin(x), math.sin(x), rel_tol=1e-15, abs_tol=3e-16)
    assert math.isclose(trigonometry.cos(x), math.cos(x), rel_tol=1e-15, abs_tol=3e-16)
    y = max(-1.0, min(1.0, x / 3))
    assert math.isclose(trigonometry.asin(y), math.asin(y), rel_tol=1e-15)


def test_no_function_of_the_library_decides_what_is_stored() -> None:
    """Square roots alone, which have one right result; the others are another one elsewhere."""
    for module in (geohash, trigonometry):
        names = set(vars(module)) & set(vars(math)) - {"__name__", "__doc__", "__spec__"}
        taken = {name for name in names if getattr(module, name) is getattr(math, name)}
        assert taken <= {"sqrt", "__loader__"}, module


def test_what_looks_at_too_many_members_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geo, "SEARCHED_MAX", 1)
    digest = store.digest()
    for line in ("GEOSEARCH Sicily", "GEOSEARCHSTORE x Sicily"):
        found = ask(store, f"{line} FROMLONLAT 15 37 BYRADIUS 200 km")
        assert found == geo.TOO_MANY
    assert store.digest() == digest
    assert ask(store, "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 1 m") == [b"Palermo"]


def test_a_search_that_is_wrong_changes_nothing(store: Store) -> None:
    digest = store.digest()
    for line in (
        "GEOADD Sicily 1 1 a 200 1 b",
        "GEOADD Sicily NX XX 1 1 a",
        "GEOSEARCHSTORE Sicily Sicily FROMLONLAT 1 1 BYRADIUS -1 m",
        "GEOSEARCHSTORE Sicily Sicily FROMMEMBER nobody BYRADIUS 1 m",
        "GEORADIUS Sicily 1 1 1 parsec STORE Sicily",
    ):
        assert isinstance(ask(store, line), ErrorReply), line
    assert store.digest() == digest
