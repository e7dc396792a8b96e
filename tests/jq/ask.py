"""What does the real jq answer? Reads a list of [expression, input] as JSON from stdin, writes a list of answers:
the values, or null where jq refuses the expression or fails."""

import json
import sys

import jq

compiled = {}
answers = []
for expression, given in json.load(sys.stdin):
    try:
        if expression not in compiled:
            compiled[expression] = jq.compile(expression)
        answers.append(compiled[expression].input_value(given).all())
    except (ValueError, StopIteration):
        answers.append(None)
json.dump(answers, sys.stdout)
