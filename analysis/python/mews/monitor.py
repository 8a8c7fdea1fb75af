"""Monitor: diagnoses over the epochs of a training loop, in a folder that `mews report` draws."""
import ctypes
import json
import os

from . import _library
from .diagnosis import Diagnosis, build_input


class Monitor:
    """
        with mews.Monitor('results/mine/lr-0.1', lr=0.1, method='mine') as monitor:
            for epoch in range(epochs + 1):           # epoch 0: before training, what later ones are held against
                d = monitor.log(embed(images), epoch=epoch, labels=y, figures={"loss": loss})
                if d.collapsed: break

    `mews report results/mine/lr-0.1` draws the run, `mews report results/mine` all runs beside it, by their settings.
    A folder that a monitor left is continued; an epoch that is logged again replaces what stood there and after it.
    """

    def __init__(self, path, **settings):
        self._monitor = ctypes.c_void_p()
        _library.call('mews_monitor_open', os.fsencode(path), json.dumps(settings).encode(),
                      ctypes.byref(self._monitor))

    def log(self, embeddings, epoch, labels=None, *, figures=None, **options):
        """Diagnoses as diagnose() does, with its options, and appends; `figures`: numbers to keep beside (loss=…)."""
        if not self._monitor:
            raise ValueError('this monitor is closed')
        given, owners = build_input(embeddings, labels, **options)
        beside = json.dumps({key: float(value) for key, value in (figures or {}).items()}).encode()
        found = _library.call_json('mews_monitor_log', self._monitor, epoch, ctypes.byref(given), beside)
        del owners
        return Diagnosis(found)

    def close(self):
        """Marks the run as finished. Left out (a crash), it stays listed as interrupted, with all its epochs."""
        if self._monitor:
            monitor, self._monitor = self._monitor, ctypes.c_void_p()
            _library.call('mews_monitor_close', monitor)

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        if problem[0] is None:
            self.close()
