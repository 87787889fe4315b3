import gc
import weakref

from tests.training.tiny import one_process
from training.launch.processes import spare_long_lived_objects


class Node:
    """Something that can be part of a cycle."""


def cycle() -> weakref.ref:
    node = Node()
    node.itself = node
    return weakref.ref(node)


def test_the_collector_spares_what_is_alive_until_the_groups_end():
    with one_process():
        dead_before = cycle()
        spare_long_lived_objects()
        assert dead_before() is None
        assert gc.get_freeze_count() > 0
        dead_after = cycle()
        gc.collect()
        assert dead_after() is None
    assert gc.get_freeze_count() == 0
