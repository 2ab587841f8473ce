"""`python -m spark_klaviyo` and the script of `spark-submit`: the command line."""

from __future__ import annotations

import sys

from spark_klaviyo.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
