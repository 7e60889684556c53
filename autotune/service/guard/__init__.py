"""What stands around every request: who asks, from where, how much, and what the answer may do."""
