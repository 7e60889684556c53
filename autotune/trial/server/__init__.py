"""The `server` scenario: requests that arrive at a rate, whether or not earlier ones are answered."""
