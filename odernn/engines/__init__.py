"""What executes a layer: a recurrence as registered torch operators of one schema, one folder an engine."""
