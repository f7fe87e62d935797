"""RESP2 and RESP3: bytes to commands, replies to bytes.  Pure; hiredis does the parsing."""
