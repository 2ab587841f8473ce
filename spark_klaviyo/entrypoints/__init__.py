"""The ways to write: function, data source, streams, foreachPartition. Each reads options and calls modes or runs."""
