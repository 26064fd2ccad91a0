"""Golden files: states and records as earlier versions wrote them, and the sources of the deployed version 24565ae."""
