"""Measure what texts and questions of attackers achieve: prompt injection, and the scope guard.

    attempts = injection.attempts()
    outcomes = injection.attack(attempts, open_classifier("embedded"))
    print(report.injection_rates(outcomes)[0].succeeded.share)

Half of the attempts and half of the questions are for development; the others are held out, which
is to say that nothing was made better with them.
"""
