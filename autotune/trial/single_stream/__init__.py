"""The scenario `single_stream`: one request at a time, split over the instances."""
