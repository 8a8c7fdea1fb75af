"""mews: which of the four collapses happened to your embeddings.

    import mews
    d = mews.diagnose(z, labels=y)        # NumPy, torch (CPU or GPU), JAX, anything with DLPack
    print(d)                              # the verdicts in words; d["rankme"], d.verdicts["dimensional"].verdict
    d.collapsed                           # ["dimensional"], or []

A training loop keeps a history that `mews report` draws:

    monitor = mews.Monitor("results/mine/first-run", lr=0.1)
    monitor.log(z, epoch=0, labels=y)     # before training: what later epochs are held against

A run of mews itself opens as a torch module: `model, mean, std = mews.load_run("results/NAME/RUN")`.
"""
from ._library import VERSION as __version__
from .diagnosis import MODES, Diagnosis, Verdict, diagnose
from .monitor import Monitor

__all__ = ['diagnose', 'Diagnosis', 'Verdict', 'Monitor', 'MODES', 'load_run', 'backbone', '__version__']


def __getattr__(name):
    """load_run and backbone need torch, which nothing else here does: it is imported when one of them is asked for."""
    if name in ('load_run', 'backbone'):
        from . import runs
        return getattr(runs, name)
    raise AttributeError(f'module mews has no {name}')
