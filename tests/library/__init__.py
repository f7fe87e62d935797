"""Each fault of pysyncobj 0.3.17 next to its cure: the evidence for docs/pysyncobj.md.

A ``test_plain_…`` tells a story with the library as it is and asserts that it goes wrong, so that
a release which mends it is noticed; the ``test_ours_…`` next to it tells the same story with our
code.  The vocabularies are plain.py and ours.py; messages are delivered by hand.
"""
