"""The recurrent layer: ODERNN, its streams, its state, and the checks of its inputs."""
