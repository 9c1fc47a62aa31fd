"""What makes the model that ships: classifier, calibration, knowledge index, ranker, report."""
