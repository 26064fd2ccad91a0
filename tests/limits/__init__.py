"""Tests of what Floorwatch does at its limits: slow or absent servers, floods, members taken for dead."""
