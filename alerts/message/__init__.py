"""What a person reads: a message made of a notification, and its text for each kind of receiver. Pure."""
