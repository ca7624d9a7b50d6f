"""What whoever watches the service is told: counts of every process of it, and how it stands (TOU-E10, MSS-147)."""
