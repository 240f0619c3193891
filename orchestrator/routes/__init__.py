"""The routes of the REST API: each decodes, makes one call, encodes."""
