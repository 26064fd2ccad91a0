"""One module for each kind of channel."""
