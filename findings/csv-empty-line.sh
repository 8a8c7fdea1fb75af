# pandas 2.3.3 and polars 1.34.0: in a CSV file of one column an empty line is a missing value to polars and nothing to pandas.
# Beside a file of labels, rows shift from there on. One would expect one reading of RFC 4180's records.
packages="pandas==2.3.3 polars==1.34.0 numpy==2.3.4"
. "$(dirname "$0")/environment.inc"
python <<'PYTHON'
import pandas, polars
open("a.csv", "w").write("x\n1\n\n3\n")
one, other = pandas.read_csv("a.csv"), polars.read_csv("a.csv")
print("pandas", one["x"].tolist(), "polars", other["x"].to_list())
assert one["x"].tolist() == [1, 3] and other["x"].to_list() == [1, None, 3]
PYTHON
