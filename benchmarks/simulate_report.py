def write(tables, to):
    pass
