"""What is kept elsewhere: backups, their restoring, and data that comes from or goes to others.

``format`` (the bytes of a backup), ``records`` (what stands in it), ``writes`` (records as
commands), ``json_lines`` and ``arguments`` are pure; the other files are the verbs of ``distrodb``
and what they do with files, slaves and Redis.
"""
