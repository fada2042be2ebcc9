"""A trained network on perturbed images: a named, versioned suite, under one scheme or under several."""
