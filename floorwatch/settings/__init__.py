"""The whole configuration: the sections of all packages as one model, its loader, and what is made of it for the core."""
