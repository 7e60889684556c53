"""Commands that look after a store and the machine under it."""
