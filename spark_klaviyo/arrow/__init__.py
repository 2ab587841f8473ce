"""Arrow arrays as the encoder and the screen read them: columns of a plan, bytes and offsets. Knows no JSON."""
