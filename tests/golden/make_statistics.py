"""Golden values of analysis/statistics: paired tests and tails by scipy, Holm's correction by sorting."""
import numpy
from scipy import stats

from golden import save

rng = numpy.random.default_rng(5)
arrays = {}
for n, shift in ((2, 0.1), (3, 0.5), (5, 0.0), (5, 1.0), (10, 0.3), (40, 0.2)):
    a = rng.normal(size=n)
    b = a + shift + rng.normal(size=n) * 0.3
    name = f'paired-{n}-{shift}'
    arrays[name + '.a'], arrays[name + '.b'] = a, b
    arrays[name + '.expected'] = numpy.array([stats.ttest_rel(a, b).pvalue, a.mean(), a.std(ddof=1)])
t = numpy.array([0, 0.01, 0.5, 1, 2.776, 4.3, 12.7, 50, 1e4])
arrays['student.t'] = t
for degrees in (1, 2, 4, 9, 30, 500):
    arrays[f'student.{degrees}'] = 2 * stats.t.sf(t, degrees)
f = numpy.array([0, 0.02, 0.7, 1, 3.3, 9.55, 60, 4e3])
arrays['fisher.f'] = f
for above, below in ((1, 1), (1, 4), (2, 2), (4, 8), (9, 60), (3, 500)):
    arrays[f'fisher.{above}.{below}'] = stats.f.sf(f, above, below)
p = numpy.array([0.04, 0.001, 0.03, 0.2, 0.01, 0.9, 0.03])
order = numpy.argsort(p, kind='stable')
holm = numpy.minimum(1, numpy.maximum.accumulate(p[order] * numpy.arange(len(p), 0, -1)))
arrays['holm.p'], arrays['holm.expected'] = p, holm[numpy.argsort(order, kind='stable')]
# A table of values (rows: repetitions, columns: values of a key): analysis of variance without the repetitions' own level
table = rng.normal(size=(4, 3)) + numpy.array([0, 0.5, 1.5]) + rng.normal(size=(4, 1)) * 3
centred = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
error = (centred ** 2).sum() / 6
f = 4 * ((table.mean(0) - table.mean()) ** 2).sum() / 2 / error
arrays['blocks.table'], arrays['blocks.expected'] = table, numpy.array([error, 6, stats.f.sf(f, 2, 6)])
groups = [rng.normal(size=k) + shift for k, shift in ((5, 0), (3, 1), (7, 0.2))]
arrays['groups'] = numpy.concatenate(groups)
within = sum(((g - g.mean()) ** 2).sum() for g in groups) / 12
arrays['groups.expected'] = numpy.array([within, 12, stats.f_oneway(*groups).pvalue])
save('statistics', arrays)
