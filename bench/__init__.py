"""The bench: rigs, recording, metrology, procedures, reports, command line. A bench tool, never a clinical one."""
