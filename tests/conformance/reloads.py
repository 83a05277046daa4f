# SPDX-License-Identifier: Apache-2.0
"""Reasons of reloads, as `tidectl reload-reasons` has them."""
import collections

# How those begin that go on with a name.
KINDS = ("frontend", "listener", "default certificate", "header name", "protocol of backend")


def by_kind(reloads):
    """[(kind, count)] of {reason: count}, without the names, the most frequent first."""
    counts = collections.Counter()
    for reason, count in reloads.items():
        kind = next((kind for kind in KINDS if reason.startswith(kind + " ")), reason)
        counts[kind] += count
    return counts.most_common()
