"""CVAT: signed webhooks about jobs, their stages and states, and issues."""
