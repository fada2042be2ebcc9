"""One run, from what is asked for to its result.

In the order of a run: `spec` (what is asked for), `folder` (where it lives, and who owns it),
`prepare` (data, network, trainer), `train` (fit and test), with `history`, `progress`, `checkpoint` and
`lightning_compat` at work meanwhile, and `describe` (the result). `pool` runs several in processes of their own.
"""
