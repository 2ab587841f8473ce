"""Options and a DataFrame's columns in, one frozen WritePlan out. Touches neither Spark nor the network."""
