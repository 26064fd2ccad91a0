"""Whether the way from an event to a person still works, and who is told where it does not."""
