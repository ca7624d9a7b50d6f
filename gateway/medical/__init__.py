"""Medical content at the gateway: what a message holds is read apart, judged by :mod:`policies.patient`, and answered for."""
