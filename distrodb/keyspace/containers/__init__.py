"""The kinds of values that hold others; what each must do is said in keyspace/values.py."""
