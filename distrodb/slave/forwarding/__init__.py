"""A gateway's commands on their way to the leaders of their partitions, and back.  Pure."""
