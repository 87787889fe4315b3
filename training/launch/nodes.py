"""Machines that train together: each runs the same command with its own number, and all share a disk.

Every node has a launcher, which starts the node's processes and ends with them as it does on one machine
(`training.launch.local`). What they agree on before any process runs is only where the first node listens.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen
from training.launch.address import INTERFACE, LOOPBACK, interface_of, own_address
from training.launch.ports import is_free


class Node(Frozen):
    """This machine among those that train together; alone by default."""

    count: int = Field(default=1, ge=1)
    """Nodes that train."""
    number: int = Field(default=0, ge=0)
    """This one's number; the first is 0."""
    address: str = LOOPBACK
    """The first node's name or address."""
    port: int = Field(default=29_500, ge=1, lt=2**16)
    """Where the first node listens; the same on all nodes."""

    managed: bool = False
    """Whether a batch system runs it, which says on the shared disk that the run is to stop."""

    @property
    def is_alone(self) -> bool:
        """Whether it trains without others."""
        return self.count == 1

    def own(self, path: Path) -> Path:
        """A file that every node has for itself on the shared disk: the first has it by its plain name."""
        return path if self.number == 0 else path.with_stem(f"{path.stem}.node-{self.number}")

    def check(self) -> None:
        """Raise WarpsmithError for what would end in a wait without an end."""
        if self.number >= self.count:
            raise WarpsmithError(
                f"--node-rank {self.number} is none of {self.count} nodes, which are numbered from 0; "
                "correct it, or raise --nnodes"
            )
        if not self.is_alone and self.number == 0 and not is_free(self.port, "0.0.0.0"):
            raise WarpsmithError(
                f"port {self.port} of the first node is in use; give all nodes another --master-port"
            )

    def torchrun_options(self) -> list[str]:
        """How torchrun finds its like on the other nodes."""
        if self.is_alone:
            return ["--standalone", "--local-addr", LOOPBACK]
        place = ["--nnodes", str(self.count), "--node-rank", str(self.number)]
        first = ["--master-addr", self.address, "--master-port", str(self.port)]
        return [*place, *first, "--local-addr", own_address(self.address)]

    def environment(self) -> dict[str, str]:
        """What gloo needs to know, which by itself believes the machine's own name."""
        interface = None if self.is_alone else interface_of(own_address(self.address))
        return {} if interface is None else {INTERFACE: interface}


ALONE = Node()
