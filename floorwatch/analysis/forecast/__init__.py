"""What a move of people would do to the queues' forecasts."""
