"""What nature does in the simulated station: closed-form laws between events, never ticks."""
