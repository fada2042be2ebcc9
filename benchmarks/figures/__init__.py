"""Pictures for people to look at: of data, and of what networks do with them."""
