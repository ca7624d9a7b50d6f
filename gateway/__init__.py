"""The gateway: doors, intake, queue, courier, journal, administration, and the one place where all is wired."""
