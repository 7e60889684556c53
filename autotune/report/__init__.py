"""What people are shown: rankings and progress."""
