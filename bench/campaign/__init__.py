"""The fault campaign: many doses under drawn faults, and what the driver said of each against what the motor did."""
