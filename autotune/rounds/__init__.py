"""Rounds: entrants run again beside each other, and what that decides."""
