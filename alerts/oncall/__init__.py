"""Who is on duty, and when calendars are on: schedules, overrides, calendars and maintenance windows. Pure."""
