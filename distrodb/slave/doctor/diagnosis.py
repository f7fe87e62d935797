"""What is wrong, worst first.  Pure: facts in, findings out."""

from distrodb.slave.doctor import cluster, conditions
from distrodb.slave.doctor.facts import Facts
from distrodb.slave.doctor.finding import Finding, worst_first


def diagnosis(facts: Facts) -> list[Finding]:
    return worst_first([*cluster.findings(facts), *conditions.findings(facts)])
