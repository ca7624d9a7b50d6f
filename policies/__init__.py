"""Pure decisions: facts in, decision out.

Nothing here reads a clock, a socket, a file or a database, and nothing is imported from the other rooms or from third
parties. What a policy needs is an argument; what it answers is a :class:`policies.decision.Decision`.
"""
