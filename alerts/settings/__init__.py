"""Settings of the section ``alerts``. They import ``config``, so the pure modules take the policies that these are lowered to."""
