"""The simulator finds faults: with a cure removed it fails within a stated number of seeds."""

import pytest

from tests.sim.queues import every_kind
from tests.sim.removed_cures import CURES, seeds_until_noticed
from tests.sim.test_containers import (
    test_a_member_that_gets_a_snapshot_meanwhile_agrees as copied_meanwhile,
)
from tests.sim.test_expiry import (
    test_a_key_that_was_seen_expired_never_comes_back as seen_expired,
)
from tests.sim.test_gateways import (
    test_a_counter_is_exact_and_nobody_sees_an_error as counts_are_exact,
)
from tests.sim.test_healing import (
    test_a_slave_that_one_other_cannot_reach_is_not_taken_for_dead as one_word_is_not_enough,
)
from tests.sim.test_healing import (
    test_who_is_in_again_with_an_empty_log_elects_nobody_by_an_old_configuration as in_again,
)
from tests.sim.test_scenarios import (
    test_a_cluster_is_not_born_without_all_of_its_slaves as all_are_needed,
)
from tests.sim.test_scenarios import (
    test_a_slave_that_was_cut_off_unseats_nobody as nobody_is_unseated,
)
from tests.sim.test_scenarios import (
    test_two_wiped_slaves_elect_nobody_without_the_third as two_wiped_slaves,
)

# Away from those that the random runs replay, so that what they were chosen for does not help.
FIRST_SEED = 1000


def served(seed: int) -> object:
    return every_kind(seed).run()


@pytest.mark.parametrize("cure", CURES)
def test_a_removed_cure_is_noticed(cure):
    seeds_max = CURES[cure].seeds_max
    count, what = seeds_until_noticed(cure, range(FIRST_SEED, FIRST_SEED + seeds_max))
    print(f"{cure}: noticed after {count} seeds: {what}")
    assert count, f"{seeds_max} seeds without {cure!r}, and nothing was noticed"


@pytest.mark.parametrize(
    ("cure", "story", "first_seed"),
    [
        ("a retry is told from a first try", counts_are_exact, 0),
        ("Hash: containers are copied on write", copied_meanwhile, 0),
        ("List: containers are copied on write", copied_meanwhile, 0),
        ("Set: containers are copied on write", copied_meanwhile, 0),
        ("SortedSet: containers are copied on write", copied_meanwhile, 0),
        ("scripts are in snapshots", copied_meanwhile, 0),
        ("who waits is told of the next change", served, 4),
        ("pre-votes", nobody_is_unseated, 0),
        ("what is read as expired is in the log", seen_expired, 0),
        ("a birth on which all agree", two_wiped_slaves, 0),
        ("a birth on which all agree", all_are_needed, 0),
        ("who has forgotten stands aside", in_again, 0),
        ("a majority of the ring takes one for dead", one_word_is_not_enough, 7),
    ],
)
def test_a_removed_cure_spoils_a_story(cure, story, first_seed):
    """``first_seed``: one that notices now; of the story's others few may, and each takes long."""
    assert seeds_until_noticed(cure, range(first_seed, first_seed + 8), story)[0]
