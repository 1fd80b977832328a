"""What a launch knows of itself so far; its document is made of it however it ends."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from runners.drawing import Drawn
from runners.errors import RunnerError
from runners.measuring import failed
from runners.phases import Phases
from runners.telemetry.watch import Watch
from schema.hosts import Host
from schema.nights import PlannedLaunch
from schema.trials import Build, Launch, Trial


@dataclass(kw_only=True)
class Story:
    """Filled while the launch goes on."""

    plan: PlannedLaunch
    attempt: int
    began: datetime
    grown: Callable[[Launch], None] | None = None
    """Told the document so far after each trial."""
    host: Host
    build: Build
    phases: Phases = field(default_factory=Phases)
    drawn: dict[str, Drawn] = field(default_factory=dict)
    """What will be asked, by the slug of the cell."""
    trials: list[Trial] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    effective: dict[str, str] = field(default_factory=dict)
    startup_s: float | None = None
    caches_warm: bool | None = None
    log_tail: str = ""
    watch: Watch | None = None
    error: RunnerError | OSError | None = None

    def tell(self, trial: Trial) -> None:
        """A trial has ended."""
        self.trials.append(trial)
        if self.grown is not None:
            with self.phases("keep"):
                self.grown(self.document())

    def document(self) -> Launch:
        """What is known now. After an error the cells that are missing failed for its reason."""
        plan, began = self.plan, self.began
        missing = plan.cells[len(self.trials) :]
        if self.error is not None:
            self.trials += [failed(cell, plan.replicate, self.error) for cell in missing]
        ended = datetime.now(UTC)
        return Launch(
            night=plan.night,
            arm=plan.arm,
            replicate=plan.replicate,
            attempt=self.attempt,
            build=self.build,
            host=self.host,
            started_at=began,
            ended_at=ended,
            startup_s=self.startup_s,
            caches_warm=self.caches_warm,
            command=tuple(self.command),
            environment=self.environment,
            effective=self.effective,
            overhead_s=self.phases.overhead_s((ended - began).total_seconds()),
            phases_s=self.phases.seconds,
            log_tail=self.log_tail,
            telemetry=tuple(self.watch.readings) if self.watch else (),
            trials=tuple(self.trials),
        )
