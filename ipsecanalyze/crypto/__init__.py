"""Algorithms by registry number, key schedules, the opening of IKE, ESP and AH. It takes keys, and looks for none."""
