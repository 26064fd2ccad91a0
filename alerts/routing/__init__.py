"""Which routes an incident takes, and whom they tell. Pure: the configuration comes as a policy, time as a record's time."""
