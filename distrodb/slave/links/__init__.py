"""The links between slaves.  Pure: framing, introduction, conversation, dialling, strangers; around
them ``link`` (one socket) and ``links`` (all of a slave)."""
