import collections

EXAMPLES = collections.defaultdict(str)
