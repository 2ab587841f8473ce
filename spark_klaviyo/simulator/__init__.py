"""A local Klaviyo: real HTTP on loopback, the rules and limits of the real one, and faults on demand.

It imports nothing of the rest of the package, so that writer and simulator cannot share a mistake.
"""

from spark_klaviyo.simulator.faults import Fault
from spark_klaviyo.simulator.recorded import RecordedRequest
from spark_klaviyo.simulator.simulator import KlaviyoSimulator

__all__ = ["Fault", "KlaviyoSimulator", "RecordedRequest"]
