"""What secrets look like, and what names them. Pure; used by views that show command lines and paths."""

import re

HIDDEN = "***"
# What names a secret, also at the end of a longer name: `--db-password`, `DB_PASSWORD`, `keyStorePassword`.
NAME = (
    r"(?:pass(?:w(?:or)?d|phrase|code)?s?|pwd|secrets?|tokens?|(?:api|access|account|private|secret|master|shared|signing|encryption|"
    r"license)[-_]?key|secret[-_]?key[-_]?base|"
    r"credentials?|auth|authorization|bearer|cookies?|signature|sig|dsn|connection[-_]?string|psk|pin|otp|jwt|"
    r"session[-_]?id)(?:[_.-](?:value|string|b64|base64))?(?![a-z])"
)
KNOWN_TOKEN = re.compile(
    r"\beyJ[\w-]{8,}(?:\.[\w-]*){0,4}|\b(?:gh[a-z]_|github_pat_|glpat-|xox[a-z]-|sk[-_]|pk[-_]|rk_|npm_|hf_|pypi-|dckr_pat_|"
    r"AKIA|ASIA|AIza|ya29\.|SG\.|hvs\.|dop_v1_|shpat_|whsec_)[\w.-]{8,}"
)
