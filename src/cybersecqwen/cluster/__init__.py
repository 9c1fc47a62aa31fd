"""Work on partitions of an input with the processes of a Ray cluster, as one machine would.

    with open_cluster("head:6379", Path("/mnt/shared/parts")) as cluster:
        for batch, data in cluster.run(Job("classify", make), batches):
            sys.stdout.buffer.write(data)

The driver reads the input and cuts it into partitions, which are files in a folder that every node
sees; through Ray go only their names. A partition counts as done once its record is renamed into
place beside its output, so that the same command goes on after a killed worker, node or driver.
"""

from cybersecqwen.cluster.connection import open_cluster
from cybersecqwen.cluster.partition import Job
from cybersecqwen.cluster.schedule import Cluster

__all__ = ["Cluster", "Job", "open_cluster"]
