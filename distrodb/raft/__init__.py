"""A Raft group of one slave: pysyncobj made safe (library.py) and what stands around it.  Pure."""
