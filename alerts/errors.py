"""What can keep a night from being told."""


class AlertsError(Exception):
    """The night could not be told."""


class SlackNotConfigured(AlertsError):
    """It is not known to whom to speak, or as whom."""


class SlackRefused(AlertsError):
    """Slack did not take the message; nothing was posted and a later attempt may."""
