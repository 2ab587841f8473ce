"""The nouns that every other folder uses: batches, replies, rejections, codes, clock. Knows neither Spark nor HTTP."""
