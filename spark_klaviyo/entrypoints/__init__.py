"""The ways to write: function, data source, streams, foreachPartition. Each reads options and calls runs or task."""
