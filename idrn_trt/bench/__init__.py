"""The latency benchmark: measuring, and saying under which conditions."""
