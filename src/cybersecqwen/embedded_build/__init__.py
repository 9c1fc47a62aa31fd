"""The build of the model that ships: classifier, calibration, knowledge index, ranker, report."""
