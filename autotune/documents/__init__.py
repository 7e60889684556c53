"""What jobs give, as versioned JSON documents that every way to start a job shares."""
