"""The tools whose webhooks the gateway takes: a package for each, and one registration in ``registry``."""
