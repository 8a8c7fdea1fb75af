"""A Lightning callback that diagnoses the validation embeddings of every epoch; stable-pretraining and solo-learn train
with Lightning too, and what they call things is known here.

    from mews.callbacks import CollapseMonitor
    trainer = Trainer(callbacks=[CollapseMonitor('results/mine/run', stop_on=['dimensional'])], num_sanity_val_steps=-1)

`num_sanity_val_steps=-1` makes Lightning's check before training a whole validation pass: that is epoch 0, which later
epochs are held against. Without it, the first validation epoch takes its place, and a warning says so.
"""
import importlib
import warnings

import torch

from .diagnosis import MODES
from .monitor import Monitor


def _bases():
    """Callback of both names that Lightning is installed under; a trainer of either takes a child of both."""
    found = []
    for name in ('lightning.pytorch', 'pytorch_lightning'):
        try:
            found.append(importlib.import_module(name).Callback)
        except ImportError:
            pass
    if not found:
        raise ImportError('mews.callbacks needs Lightning: pip install lightning')
    return tuple(dict.fromkeys(found))


def _take(module, outputs, batch):
    """(embeddings, labels or None) of a validation batch, as Lightning modules of today leave them."""
    if isinstance(outputs, dict) and 'embedding' in outputs:  # stable-pretraining
        labels = outputs.get('label', batch.get('label') if isinstance(batch, dict) else None)
        return outputs['embedding'], labels
    if isinstance(batch, (list, tuple)):  # solo-learn, and whoever's forward(images) gives features
        with torch.no_grad():
            made = module(batch[0])
        labels = batch[1] if len(batch) > 1 and getattr(batch[1], 'ndim', 0) == 1 else None
        return made['feats'] if isinstance(made, dict) and 'feats' in made else made, labels
    raise ValueError('where the embeddings are cannot be told from a validation step of '
                     f'{type(module).__name__}; give CollapseMonitor(…, take=function(module, outputs, batch))')


class CollapseMonitor(*_bases()):
    """Keeps a mews.Monitor at `path` and logs `mews/<figure>` to the trainer's loggers.

    take       function(module, outputs, batch) → (embeddings (n, d), labels (n) or None); the default knows
               stable-pretraining's "embedding" and solo-learn's "feats"
    rows       how many validation rows at most, the first of each epoch (their order has to stay the same)
    stop_on    modes whose collapse ends the training
    options    what mews.diagnose takes (attainable=…, fast=…)
    """

    def __init__(self, path, take=_take, rows=10000, stop_on=(), settings=None, **options):
        super().__init__()
        unknown = [mode for mode in stop_on if mode not in MODES]
        if unknown:
            raise ValueError(f'stop_on: no mode {unknown[0]}; there are {", ".join(MODES)}')
        self.path, self.take, self.rows, self.stop_on = path, take, rows, tuple(stop_on)
        self.settings, self.options = settings or {}, options
        self.monitor, self.last, self._parts, self._count = None, None, [], 0

    def _log(self, epoch):
        parts, self._parts, self._count = self._parts, [], 0
        if not parts:
            return None
        labels = None if parts[0][1] is None else torch.cat([part[1] for part in parts])
        if self.monitor is None:
            self.monitor = Monitor(self.path, **self.settings)
        self.last = self.monitor.log(torch.cat([part[0] for part in parts]), epoch, labels, **self.options)
        return self.last

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0):
        if dataloader_idx or self._count >= self.rows or trainer.global_rank:
            return
        embeddings, labels = self.take(pl_module, outputs, batch)
        room = self.rows - self._count
        embeddings = embeddings.detach().flatten(1)[:room].cpu()
        self._parts.append((embeddings, None if labels is None else labels.detach()[:room].cpu()))
        self._count += len(embeddings)

    def on_sanity_check_end(self, trainer, pl_module):
        whole = trainer.num_sanity_val_steps == float('inf') or trainer.num_sanity_val_batches == trainer.num_val_batches
        if not whole:
            self._parts, self._count = [], 0
            warnings.warn('mews: the check before training is not a whole validation pass, so the first epoch is what '
                          'later ones are held against; Trainer(num_sanity_val_steps=-1) measures the untrained network')
        else:
            self._log(0)

    def on_validation_epoch_end(self, trainer, pl_module):
        if trainer.sanity_checking:
            return
        found = self._log(trainer.current_epoch + 1)
        if found is None:
            return
        for name in ('rankme', 'effective_rank', 'spread', 'within_share'):
            if found.figures.get(name) is not None:
                pl_module.log('mews/' + name, found.figures[name], rank_zero_only=True)
        collapsed = [mode for mode in self.stop_on if mode in found.collapsed]
        if collapsed:
            warnings.warn(f'mews: {collapsed[0]} collapse at epoch {trainer.current_epoch + 1}: '
                          f'{found.verdicts[collapsed[0]].sentence}')
            trainer.should_stop = True

    def on_fit_end(self, trainer, pl_module):
        if self.monitor is not None:
            self.monitor.close()
            self.monitor = None
