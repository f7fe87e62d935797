"""The disk: the journal's file, snapshot files, the directory's lock."""
