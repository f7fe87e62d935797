"""``distrodb bench``: load for a running cluster, or any server of the Redis protocol, and what it
took.  Pure are histogram, schedule, workload, slot_map, books, options and chart.
"""
