"""The call of torchdiffeq: `odeint`, its options, its grids."""
