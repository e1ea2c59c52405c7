"""What the rules ask: which files there are, what jobs are told, what code they come to, what is said of faults."""
