"""What can end a launch. Every error says what was seen and what to do next."""


class RunnerError(Exception):
    """A launch could not be completed."""

    may_pass = True
    """Whether the same launch may succeed when it is tried again."""


class BuildUnavailable(RunnerError):
    """The build could not be installed, or is not installed."""

    may_pass = False


class UnsupportedCell(RunnerError):
    """The engine cannot serve this cell."""

    may_pass = False


class BadRequestFile(RunnerError):
    """A file that a workload takes its requests from is absent, changed or unreadable."""

    may_pass = False


class DeviceBusy(RunnerError):
    """Somebody else uses the device: a measurement there would be worth nothing."""


class PortBusy(RunnerError):
    """Something else listens where the engine should."""


class EngineDied(RunnerError):
    """The engine exited before the launch ended."""


class EngineNotReady(RunnerError):
    """The engine did not become healthy in time."""


class ForeignServer(RunnerError):
    """A healthy server answered that is not the one that was started."""


class EngineHung(RunnerError):
    """The engine stopped answering while it was measured."""


class EngineRestarted(RunnerError):
    """The engine forgot what it had counted: another process answers in its place."""


class ExpertsNotReturned(RunnerError):
    """The engine refuses to return experts, or returns what cannot be those of its tokens."""

    may_pass = False


class ClientDied(RunnerError):
    """A process of the load client ended in the middle of a window."""


class SpoolError(RunnerError):
    """The document could not be kept on this host."""


class BundleError(RunnerError):
    """The bundle cannot be read, or cannot be executed as asked."""


class Killed(KeyboardInterrupt):
    """SIGTERM arrived. No Exception, so that no clean-up takes it for a fault and goes on."""
