"""People: what the log says of one labeller, fairly. Pure functions over standing labels and over counters of rows."""
