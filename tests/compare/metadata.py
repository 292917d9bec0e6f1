def compare(pair, seed, count): pass
def edge_of(r): return None
