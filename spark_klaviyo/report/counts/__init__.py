"""What a write counted, and the same in words. Knows neither HTML nor progress bars."""
