"""Everything that the command line can foresee, each in one message with the next step."""


class TailwatchError(Exception):
    """A command could not do what it was asked to do."""


class UsageError(TailwatchError):
    """The command was asked for something that does not exist: exit code 2."""


class PostgresUnavailable(TailwatchError):
    """The embedded Postgres could not be started or reached."""


class PortTaken(TailwatchError):
    """Another program listens on the port that a service was told to use."""


class ServiceDied(TailwatchError):
    """A process of the local stack ended, or never became healthy."""


class AirflowRefused(TailwatchError):
    """Airflow answered a request with an error."""


class AirflowUnreachable(TailwatchError):
    """Airflow did not answer."""


class StackDown(TailwatchError):
    """A command needs the local stack, and it is not up."""
