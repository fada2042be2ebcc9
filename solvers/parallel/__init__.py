"""A recurrence in tensors: forward in place without a tape, backward parallel in time, chunk by chunk."""
