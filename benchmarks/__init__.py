"""How fast the project is: against others that train the same, its own growth, and the machine.

python -m benchmarks [PART ...]    measure, into benchmarks/results.csv
python -m benchmarks.table         what was measured, as Markdown
"""
