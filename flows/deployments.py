"""What `make serve` does at Prefect's API, beside answering: deploy the flows, and let lost runs go on.

`prefect deploy` replaces the schedules of a deployment by those of prefect.yaml. Here users keep theirs, and
what they paused stays paused.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

#: So often is a run begun; one that takes its worker with it each time is not begun for ever.
_MOST_STARTS = 3


def deploy(prefect_deploy: Callable[[], None]) -> None:
    """Deploy everything, and put back the schedules that this took away."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import DeploymentScheduleCreate

    with get_client(sync_client=True) as client:
        before = {deployment.id: deployment.schedules for deployment in client.read_deployments()}
        prefect_deploy()
        for deployment, schedules in before.items():
            now = client.read_deployment_schedules(deployment)
            ours = {schedule.slug: schedule for schedule in now if schedule.slug}
            for schedule in schedules:
                if schedule.slug in ours:
                    same = ours[schedule.slug]
                    if same.active != schedule.active:
                        client.update_deployment_schedule(deployment, same.id, active=schedule.active)
                elif schedule.id not in {one.id for one in now}:
                    fields = DeploymentScheduleCreate.model_fields.keys() & schedule.model_fields_set
                    kept = {name: getattr(schedule, name) for name in fields}
                    client.create_deployment_schedules(deployment, [DeploymentScheduleCreate(**kept)])


def continue_lost_runs(pool: str) -> list[str]:
    """Queue the runs of a pool again whose worker, its only one, was killed: they say that they run.

    They come before what was asked for after them. Returns their names.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
    from prefect.client.schemas.objects import State, StateType
    from prefect.states import Cancelled, Crashed, Scheduled

    lost = FlowRunFilter.model_validate({"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}})
    of_pool = WorkPoolFilter.model_validate({"name": {"any_": [pool]}})
    names = []
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=lost, work_pool_filter=of_pool):
            state: State
            if run.state_type == StateType.CANCELLING:
                state = Cancelled()
            elif run.run_count >= _MOST_STARTS:
                state = Crashed(message=f"its worker ended {run.run_count} times while it ran")
            else:
                state = Scheduled(scheduled_time=run.expected_start_time, message="its worker had ended")
                names.append(run.name)
            client.set_flow_run_state(run.id, state, force=True)
    return names


def planned_date() -> date:
    """The date for which the flow run that this is called in was planned, whenever it begins.

    It is the date in the zone of its schedule; of a run that somebody asked for, that of this machine.
    """
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return date.today()
    return date_of(context.flow_run)


def date_of(run: FlowRun) -> date:
    """The date for which a flow run was planned."""
    if run.expected_start_time is None:
        return date.today()
    return run.expected_start_time.astimezone(_zone(run)).date()


def _zone(run: FlowRun) -> tzinfo | None:
    """The zone of the schedule that made a run; none is this machine's."""
    from prefect.client.orchestration import get_client

    creator = run.created_by
    if creator is None or creator.type != "SCHEDULE" or run.deployment_id is None:
        return None
    with get_client(sync_client=True) as client:
        schedules = {one.id: one.schedule for one in client.read_deployment_schedules(run.deployment_id)}
    schedule = schedules.get(creator.id) if creator.id else None
    return ZoneInfo(getattr(schedule, "timezone", None) or "UTC")
