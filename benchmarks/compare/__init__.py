"""One network under many discretisations: the same weights under each, or each trained at the same cost."""
