"""What unit tests share."""

import hypothesis

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("kubestrace", deadline=None)
hypothesis.settings.load_profile("kubestrace")
