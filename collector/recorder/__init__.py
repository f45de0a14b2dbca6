"""Recording: requests wait in a queue, a group of them is decided and saved in one transaction, then all are answered.

`queue` owns the task, the bound and the errors; `group` is the transaction; `assertion` is what happens in it when a
visitor says who they are.
"""

from collector.recorder.queue import QueueFull, Recorder, StorageUnavailable

__all__ = ["QueueFull", "Recorder", "StorageUnavailable"]
