"""The stack on one machine: broker and Valkey from Python wheels, a journal, and a supervisor over it all."""
