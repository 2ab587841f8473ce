"""What a request body must look like: the checker and the shapes it checks."""
