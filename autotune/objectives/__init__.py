"""What a study optimises, as values: one file for each objective, and the limits beside them.

An objective looks at an `Outcome`, which is what a configuration gave (throughput, latencies) and what it
took (cores, memory, a price), and gives its score. It alone knows which way a score is better, in which unit
people read it, and in which words: nothing outside this room asks for an objective's name.

- `outcome`: what is judged; whoever measures makes one of a trial, of a block of it, or of a rate alone.
- `objective`: what every objective can do, and what follows from its direction.
- `throughput`, `latency`, `cost`: the objectives.
- `limits`: what a plan must keep to, whatever is optimised.
- `catalogue`: the objective of a study, and of a name in a document or a store.

To add an objective, write its file, name it in `catalogue` and in `autotune.spec.aim`, and run
`autotune.testing.objective_contract` over it.
"""
