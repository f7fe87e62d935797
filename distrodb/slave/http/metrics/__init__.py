"""What /metrics tells, in Prometheus' text format: ``registry`` puts it together from what the
other files collect.  It counts nothing itself: the numbers are those of the parts that do.

Loaded when it is first asked for: prometheus-client takes a quarter of a second and some megabytes.
"""
