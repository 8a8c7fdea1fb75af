"""diagnose(): embeddings in, figures and verdicts out."""
import ctypes
import html
import os
import textwrap

from . import _arrays, _library

MODES = ('representation', 'dimensional', 'cluster', 'intracluster')
_COLOURS = {'healthy': '#2a7f62', 'warning': '#b7791f', 'collapsed': '#b3261e', 'unknown': '#6b7280'}
_SHOWN = (('rankme', 'RankMe'), ('effective_rank', 'effective rank'), ('participation_ratio', 'participation ratio'),
          ('alpha_req', 'α-ReQ'), ('spread', 'spread'), ('uniformity', 'uniformity'), ('codes_used', 'codes used'),
          ('perplexity', 'perplexity of codes'), ('knn', 'kNN accuracy'), ('linear', 'linear probe'),
          ('kmeans_ami', 'k-means AMI'), ('prototype_ami', 'AMI of codes'))


class Verdict:
    """One mode's verdict. It compares equal to its word: `d.verdicts["cluster"] == "collapsed"`."""

    def __init__(self, mode, figures):
        self.mode, self.figures = mode, figures
        self.verdict, self.sentence = figures['verdict'], figures['sentence']
        self.statistic, self.low, self.high = (figures.get(key) for key in ('statistic', 'low', 'high'))

    def __eq__(self, other):
        return self.verdict == (other.verdict if isinstance(other, Verdict) else other)

    def __hash__(self):
        return hash(self.verdict)

    def __str__(self):
        return self.verdict

    def __repr__(self):
        return f'<{self.mode}: {self.verdict}>'


class Diagnosis:
    """Every figure that `mews diagnose --json` prints, by name: `d["rankme"]` or `d.rankme`; None is "not known"."""

    def __init__(self, figures):
        self.figures = figures
        self.verdicts = {mode: Verdict(mode, figures['verdicts'][mode]) for mode in MODES}

    def __getitem__(self, name):
        return self.figures[name]

    def __getattr__(self, name):
        if not name.startswith('_') and name in self.figures:
            return self.figures[name]
        raise AttributeError(f'a diagnosis has no figure {name}')

    def keys(self):
        return self.figures.keys()

    @property
    def collapsed(self):
        """The modes that collapsed, in the order of MODES."""
        return [mode for mode in MODES if self.verdicts[mode] == 'collapsed']

    def _rows(self):
        return [(label, self.figures[key]) for key, label in _SHOWN if self.figures.get(key) is not None]

    def __str__(self):
        lines = [f'{self.figures.get("source", "embeddings")}: {self.figures["n"]} rows, {self.figures["d"]} columns']
        for mode in MODES:
            verdict = self.verdicts[mode]
            lines += ['', f'{mode:<18}{verdict}']
            lines += textwrap.wrap(verdict.sentence, 100, initial_indent=' ' * 18, subsequent_indent=' ' * 18)
        return '\n'.join(lines + [''] + [f'  {label:<22}{value:.5g}' for label, value in self._rows()])

    def __repr__(self):
        return '<mews.Diagnosis ' + ', '.join(f'{mode}: {self.verdicts[mode]}' for mode in MODES) + '>'

    def _repr_html_(self):
        """What a notebook shows."""
        cell = '<td style="text-align:left;padding:2px 12px 2px 0;vertical-align:top">'
        rows = ''.join(
            f'<tr>{cell}{mode}</td>{cell}<b style="color:{_COLOURS[verdict.verdict]}">{verdict}</b></td>'
            f'{cell}{html.escape(verdict.sentence)}</td></tr>' for mode, verdict in self.verdicts.items())
        figures = ''.join(f'<tr>{cell}{html.escape(label)}</td>{cell}{value:.5g}</td></tr>'
                          for label, value in self._rows())
        name = html.escape(str(self.figures.get('source', 'embeddings')))
        return (f'<div><b>{name}</b>: {self.figures["n"]} × {self.figures["d"]}<table>{rows}</table>'
                f'<details><summary>figures</summary><table>{figures}</table></details></div>')


def build_input(embeddings, labels=None, assignments=None, second=None, reference=None, prototypes=None, groups=None,
                codes=None, temperature=None, attainable=None, unlabelled=None, fast=False, seed=0,
                threads=None, name='embeddings'):
    """(Input, owners): the structure that libmews reads, and what has to live as long as it."""
    given, owners = _library.Input(size=ctypes.sizeof(_library.Input)), []

    def keep(taken):
        owners.append(taken[1] if not isinstance(taken[1], int) else taken[0])
        return taken

    given.name = os.fsencode(name)
    owners.append(given.name)
    given.embeddings = keep(_arrays.matrix(embeddings, 'embeddings'))[0]
    rows = given.embeddings.rows
    for key, value in (('second', second), ('reference', reference), ('prototypes', prototypes)):
        if value is not None:
            setattr(given, key, keep(_arrays.matrix(value, key))[0])
    if labels is not None:
        given.labels = keep(_arrays.labels(labels, rows))[1]
    if groups is not None:
        given.groups = keep(_arrays.integers(groups, 'groups', rows))[1]
    if assignments is not None:
        shape = tuple(getattr(assignments, 'shape', (len(assignments),)))
        if len(shape) == 2 and shape[1] > 1:
            given.scores = keep(_arrays.matrix(assignments, 'assignments'))[0]
        else:
            given.codes = keep(_arrays.integers(assignments, 'assignments', rows))[1]
    if unlabelled is not None:
        given.unlabelled, given.has_unlabelled = int(unlabelled), 1
    given.code_count, given.temperature = codes or 0, temperature or 0.0
    given.attainable, given.seed = attainable or 0, seed
    given.threads, given.fast = threads or 0, int(bool(fast))
    return given, owners


def diagnose(embeddings, labels=None, **options):
    """The four collapses of embeddings (n, d), with every figure behind the verdicts.

    embeddings     NumPy, torch, JAX or anything with DLPack; float16, bfloat16, float32 or float64, read in place
    labels         (n) whole numbers, names or one-hot rows; `unlabelled` is the number that means "none" (−1 is)
    assignments    (n) codes, or (n, c) probabilities or logits over codes (prototypes, clusters); the values tell
                   which; logits are divided by `temperature`
    codes          how many codes there are, where `assignments` are numbers
    reference      (n, any) the same rows before training, or their pixels: what a collapse is measured against
    second         (n, d) a second view of each row's input
    prototypes     (c, d) learned prototypes
    groups         (n) rows that belong together (views of one image) share a number: intervals take them whole
    attainable     the most directions that the network could span, such as its narrowest layer's width
    fast           ranks, spread, use of codes and verdicts without intervals: for use inside a training loop
    seed, threads  of samples and intervals; compute threads (None: OpenMP's own)

    ValueError, with one line that says what is wrong, for input that is not as it has to be.
    """
    given, owners = build_input(embeddings, labels, **options)
    figures = _library.call_json('mews_diagnose', ctypes.byref(given))
    del owners
    return Diagnosis(figures)
