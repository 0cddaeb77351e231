from django.db import models


class ClockRun(models.Model):
    """The results of the last runs of a periodic job (`domain.jobs.clocks.CLOCKS`)."""

    clock = models.CharField(max_length=50, primary_key=True)
    succeeded_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, help_text="The error of the last failure.")

    class Meta:
        ordering = ["clock"]

    def __str__(self) -> str:
        return self.clock
