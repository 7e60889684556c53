"""How many machines a plan needs for a rate of requests, what they cost, and which plan is the cheapest."""
