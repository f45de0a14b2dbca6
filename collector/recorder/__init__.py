"""Recording: requests wait in a queue, a group of them is decided and saved in one transaction, then all are answered.

`queue` owns the task and the bound; `commit` the attempts and their errors; `group` is the transaction; `assertion` is
what happens in it when a visitor says who they are.
"""

from collector.recorder.commit import StorageUnavailable
from collector.recorder.queue import Answer, Give, QueueFull, Recorder

__all__ = ["Answer", "Give", "QueueFull", "Recorder", "StorageUnavailable"]
