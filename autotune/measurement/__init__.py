"""What a trial gives: values with their conditions, or why there is none."""
