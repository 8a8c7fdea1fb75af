"""Golden values of analysis/statistics: paired tests by scipy, Holm's correction by sorting."""
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
p = numpy.array([0.04, 0.001, 0.03, 0.2, 0.01, 0.9, 0.03])
order = numpy.argsort(p, kind='stable')
holm = numpy.minimum(1, numpy.maximum.accumulate(p[order] * numpy.arange(len(p), 0, -1)))
arrays['holm.p'], arrays['holm.expected'] = p, holm[numpy.argsort(order, kind='stable')]
save('statistics', arrays)
