"""Pictures for people to look at: of data, of the paper's figures, and of what networks do under each solver."""
