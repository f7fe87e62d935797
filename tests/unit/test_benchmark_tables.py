"""The tables of tests/benchmarks: medians and shares."""

from tests.benchmarks.loads import Figure
from tests.benchmarks.peers import CELLS, OURS, REDIS, shares_of, shown
from tests.benchmarks.tables import shares, spread, table


def test_spread():
    assert spread([3000, 1000, 2000]) == "2,000 (1,000 3,000)"
    assert spread([1.25], "{:.2f}") == "1.25" and spread([]) == "–"


def test_shares_are_those_of_a_round():
    assert shares([1, 4], [2, 4]) == [0.5, 1.0]


def test_a_table_is_markdown():
    assert table(["a", ""], [[1, "x"]]) == "| a |  |\n| --- | --- |\n| 1 | x |"


def test_the_peers_in_one_table():
    theirs = {cell: [Figure(100.0, 10.0), Figure(200.0, 12.0)] for cell in CELLS}
    ours = {cell: [Figure(50.0, 30.0), Figure(50.0, 50.0)] for cell in CELLS}
    figures = {REDIS: theirs, OURS: ours}
    assert shares_of(figures, OURS, CELLS[0]) == [0.5, 0.25]
    lines = shown(figures).splitlines()
    assert [len(line.split("|")) for line in lines] == [9] * len(lines)
    (share,) = [line for line in lines if line.startswith("| share")]
    assert share.count("**0.38 (0.25 0.50)**") == 6, "the median of rounds, not of rates"
    assert sum("40.0 (30.0 50.0)" in line for line in lines) == 1
