"""Web pages for people: today what a signed link of a message opens."""
