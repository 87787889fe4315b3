"""Builds the SGLang engine of a run: servers started or found, checked, and the way for weights chosen."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import torch
import torch.distributed as dist

from evaluation.errors import WarpsmithError
from training.launch.address import LOOPBACK, own_address
from training.launch.agreement import from_all, from_rank_0
from training.rollout.sglang.broadcast import BroadcastTransfer
from training.rollout.sglang.buckets import HostCopy
from training.rollout.sglang.checks import (
    require_fixed_addresses,
    require_model_fits,
    require_room,
    require_same,
)
from training.rollout.sglang.checksum import ExpectedDigests
from training.rollout.sglang.client import Client, ServerLost
from training.rollout.sglang.digest import digest
from training.rollout.sglang.disk import DiskTransfer, memory_folder
from training.rollout.sglang.engine import SglangEngine
from training.rollout.sglang.fleet import Fleet, Member
from training.rollout.sglang.given import GivenEngine
from training.rollout.sglang.placement import Place, Rank, make_launch, make_router_launch, place_engines
from training.rollout.sglang.protocol import Limits, ServerInfo
from training.rollout.sglang.server import Launch
from training.rollout.sglang.supervise import Supervisor
from training.rollout.sglang.sync import Follower, Format, Leader
from training.rollout.sglang.transfer import IpcTransfer, Transfer, ValueTransfer
from training.settings.architecture import Architecture, read_architecture
from training.settings.jobs import TrainingSettings
from training.settings.sglang import WeightSync

_MIB = 1 << 20
_LOCAL_HOSTS = (LOOPBACK, "localhost", "::1")


def start_engine(
    settings: TrainingSettings, hf_dir: Path, *, load_weights: bool, log_dir: Path
) -> SglangEngine:
    """The engine of a profile with `rollout.engine: sglang`; collective under torchrun.

    Arguments and errors are those of `training.rollout.open.open_engine`.
    """
    start = _Start(settings, hf_dir, load_weights, log_dir)
    try:
        return start.run()
    except BaseException:
        start.close()
        raise


def check_start(settings: TrainingSettings, hf_dir: Path) -> None:
    """Raise WarpsmithError for what makes a start in training useless, as far as it can be known before."""
    start = _Start(settings, hf_dir, load_weights=False, log_dir=hf_dir)
    try:
        start.check()
    finally:
        start.close()


@dataclass
class _Start:
    """One start of an engine; it owns the processes and connections until the engine is closed."""

    settings: TrainingSettings
    hf_dir: Path
    load_weights: bool
    log_dir: Path
    rank: Rank = field(default_factory=Rank.of_environment)
    leader: Leader | None = None
    supervisors: list[Supervisor] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)

    def check(self) -> None:
        """Look at the model, the GPUs, and the servers or what they need to be started."""
        architecture = read_architecture(self.hf_dir)
        places = self._places()
        if self.rank.rank != 0:
            return
        require_model_fits(self.settings, self.hf_dir, architecture)
        require_fixed_addresses(places)
        if self.settings.rollout.engine_urls:
            self._given(self.settings.rollout.engine_urls)
        else:
            self._launch(places[0], architecture, LOOPBACK)

    def run(self) -> SglangEngine:
        """Check, start, wait, choose the way for weights."""
        architecture = read_architecture(self.hf_dir)
        if self.rank.rank == 0:
            require_model_fits(self.settings, self.hf_dir, architecture)
        places = self._places()
        members = self._members(places, architecture)
        fleet, limits, info = self._fleet(members, architecture)
        info = from_rank_0(info)
        weights = self._weights(fleet, info, places, architecture)
        return SglangEngine(
            weights,
            fleet=fleet,
            limits=limits,
            seeded=info.enable_deterministic_inference,
            releases_memory=any(place.trainer_ranks for place in places),
            close=self.close,
        )

    def close(self) -> None:
        """Stop what was started; servers that were given go on."""
        for supervisor in self.supervisors:
            supervisor.close()
        for client in self.clients:
            client.close()

    def _places(self) -> list[Place]:
        """Where engines of our own go."""
        rollout = self.settings.rollout
        if rollout.engine_urls:
            return []
        gpus = torch.cuda.device_count()
        training = dist.is_initialized()
        return place_engines(rollout, self.settings.sglang.device, self.rank, gpus=gpus, training=training)

    def _members(self, places: list[Place], architecture: Architecture) -> list[Member]:
        """The engines as rank 0 sees them; the first rank of every node starts its own."""
        if self.settings.rollout.engine_urls:
            return self._given(self.settings.rollout.engine_urls) if self.rank.rank == 0 else []
        host = LOOPBACK if self.rank.nodes == 1 else _own_address()
        mine: dict[int, Supervisor] = {}
        if self.rank.local_rank == 0:
            for place in (place for place in places if place.node == self.rank.node):
                mine[place.number] = self._start_server(place, architecture, host)
            for supervisor in mine.values():
                supervisor.wait_ready()
        urls: dict[int, str] = {}
        for part in from_all({number: server.launch.url for number, server in mine.items()}):
            urls |= part
        if self.rank.rank != 0:
            return []
        return [mine.get(number) or self._given([urls[number]])[0] for number in sorted(urls)]

    def _start_server(self, place: Place, architecture: Architecture, host: str) -> Supervisor:
        launch = self._launch(place, architecture, host)
        print(f"sglang: starting {launch.name} at {launch.url}; its log is {launch.log}", flush=True)
        supervisor = Supervisor(
            launch,
            self._client(launch.url),
            max_restarts=self.settings.rollout.server_max_restarts,
            restore=self._restore,
        )
        self.supervisors.append(supervisor)
        return supervisor

    def _launch(self, place: Place, architecture: Architecture, host: str) -> Launch:
        return make_launch(
            place,
            self.settings,
            architecture,
            self.hf_dir,
            host=host,
            load_weights=self.load_weights,
            log_dir=self.log_dir,
        )

    def _given(self, urls: tuple[str, ...] | list[str]) -> list[Member]:
        """Servers that we do not start, each of which answers now."""
        members: list[Member] = []
        for url in urls:
            client = self._client(url)
            try:
                client.info()
            except ServerLost as error:
                raise WarpsmithError(
                    f"no SGLang server answers at {url} ({error}); start it, or correct rollout.engine_urls"
                ) from None
            patience = self.settings.rollout.server_start_timeout_s
            members.append(GivenEngine(client, patience_s=patience, restore=self._restore))
        return members

    def _client(self, url: str) -> Client:
        client = Client(url, timeout_s=self.settings.rollout.request_timeout_s)
        self.clients.append(client)
        return client

    def _restore(self, client: Client) -> bool:
        """Give a server the weights that it lost, once there is a leader who has some (rank 0 only)."""
        return self.leader is not None and self.leader.restore(client)

    def _fleet(
        self, members: list[Member], architecture: Architecture
    ) -> tuple[Fleet | None, Limits | None, ServerInfo | None]:
        """On rank 0: the engines together, what they can take and what they are."""
        if self.rank.rank != 0:
            return None, None, None
        infos = [member.client.info() for member in members]
        require_same(infos)
        limits = Limits.of(infos[0], architecture.vocab_size, architecture.max_positions)
        require_room(limits, self.settings.rollout.max_new_tokens)
        router = self._router(members) if self.settings.rollout.router and len(members) > 1 else None
        return Fleet(members, router), limits, infos[0]

    def _router(self, members: list[Member]) -> Client:
        urls = [member.client.url for member in members]
        launch = make_router_launch(self.settings, urls, LOOPBACK, self.log_dir)
        client = self._client(launch.url)
        restarts = self.settings.rollout.server_max_restarts
        supervisor = Supervisor(launch, client, max_restarts=restarts, restore=lambda _: False)
        self.supervisors.append(supervisor)
        supervisor.wait_ready()
        return client

    def _weights(
        self, fleet: Fleet | None, info: ServerInfo, places: list[Place], architecture: Architecture
    ) -> Leader | Follower:
        """This rank's part in updates."""
        rollout = self.settings.rollout
        form = Format(info.weight_dtype(architecture.dtype), rollout.weight_bucket_mb * _MIB)
        transfer = self._transfer(fleet, info, {place.number: place.trainer_ranks for place in places})
        if fleet is None:
            return Follower(transfer, form)
        assert transfer is not None  # rank 0 takes part in every way
        rule = functools.partial(digest, device=info.device)
        self.leader = Leader(
            fleet,
            transfer,
            form,
            new_digests=lambda: ExpectedDigests(info.tp_size, architecture.num_kv_heads, rule),
            check_interval=0 if info.quantization else rollout.weight_check_interval,
            copy=HostCopy(keep=bool(rollout.engine_urls or rollout.server_max_restarts)),
            folder=self._weight_folder(),
        )
        return self.leader

    def _weight_folder(self) -> Path:
        """Where weights lie for servers to read: in memory, or on the shared disk if some are elsewhere."""
        shared = memory_folder() if self.rank.nodes == 1 else self.log_dir / "weights"
        return self.settings.rollout.weight_folder or shared

    def _transfer(
        self, fleet: Fleet | None, info: ServerInfo, ranks: dict[int, tuple[int, ...]]
    ) -> Transfer | None:
        """The way for weights; none on a rank that has no part in it."""
        way = _choose(self.settings.rollout.weight_sync, info, shares_gpus=any(ranks.values()))
        if way is WeightSync.TENSOR and any(ranks.values()):
            return IpcTransfer(fleet, ranks)
        if fleet is None:
            return None
        if way is WeightSync.DISK:
            return DiskTransfer(fleet, self._weight_folder())
        if way is WeightSync.DISTRIBUTED:
            hosts = {urlsplit(member.client.url).hostname for member in fleet.members}
            return BroadcastTransfer(fleet, info, LOOPBACK if hosts <= set(_LOCAL_HOSTS) else _own_address())
        return ValueTransfer(fleet, info.tp_size)


def _choose(way: WeightSync, info: ServerInfo, *, shares_gpus: bool) -> WeightSync:
    """The way for weights that a profile means."""
    on_gpus = info.device == "cuda" and torch.cuda.is_available()
    if way is WeightSync.AUTO:
        return WeightSync.DISTRIBUTED if on_gpus and not shares_gpus else WeightSync.TENSOR
    if way is WeightSync.DISTRIBUTED and shares_gpus:
        raise WarpsmithError(
            "rollout.weight_sync: distributed cannot join two processes on one GPU; use tensor, or set "
            "rollout.colocate: false"
        )
    if way is WeightSync.DISTRIBUTED and info.device == "cuda" and not on_gpus:
        raise WarpsmithError(
            "rollout.weight_sync: distributed needs GPUs on both sides, and the trainer has none; use tensor "
            "or disk"
        )
    return way


def _own_address() -> str:
    """This machine's address, as the first node of the run sees it."""
    return own_address(os.environ.get("MASTER_ADDR", LOOPBACK))
