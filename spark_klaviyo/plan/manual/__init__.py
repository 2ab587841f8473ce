"""Manual mode: any URL, method, headers, content format and body, read into the same plan as a template."""
