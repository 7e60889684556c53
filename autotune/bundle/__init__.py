"""A plan with all that it takes to serve it on another machine of the same kind."""
