"""Slots, the ring, and the cluster map.  Pure: values in, values out."""
